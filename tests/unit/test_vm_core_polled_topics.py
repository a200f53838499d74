"""Queues emptied by hand, with a subscription that is only a queue."""

import contextlib
import time
from types import SimpleNamespace

import pytest

from vm_core.polled_topics import NoExecutor, PolledTopic


class Queue(contextlib.AbstractContextManager):
    """What a `PolledTopic` uses of rclpy's subscriptions."""

    msg_type, raw = bytes, True

    def __init__(self, *waiting, depth=10):
        self.waiting = list(waiting)
        self.qos_profile = SimpleNamespace(depth=depth)
        self.handle = self

    def __exit__(self, *_):
        pass

    def take_message(self, msg_type, raw):
        assert msg_type is bytes and raw
        return self.waiting.pop(0) if self.waiting else None


def test_every_message_is_handed_over_in_order_and_once():
    seen = []
    topic = PolledTopic(Queue((b"a", {}), (b"b", {}), (b"c", {})), lambda data, _: seen.append(data))
    assert topic.drain() == 3 and seen == [b"a", b"b", b"c"]
    assert topic.drain() == 0 and len(seen) == 3


def test_a_flood_does_not_keep_the_loop():
    flood = Queue((b"a", {}), depth=5)
    topic = PolledTopic(flood, lambda data, _: flood.waiting.append((data, {})))  # another comes for each that is taken
    assert topic.drain() == 5


def test_arrival_is_told_on_the_monotonic_clock():
    came = []
    began_s = time.monotonic()
    waited = {"received_timestamp": time.time_ns() - 30_000_000}
    PolledTopic(Queue((b"a", waited), (b"b", {})), lambda _, came_s: came.append(time.monotonic() - came_s)).drain()
    late_s = time.monotonic() - began_s + 0.002  # a busy machine may hold us up in between
    assert 0.028 < came[0] < 0.03 + late_s
    assert 0.0 <= came[1] < late_s, "a middleware that tells no time: now"


@pytest.mark.parametrize("stamp_ns", [1, time.time_ns() + 3600 * 10**9], ids=["long ago", "in an hour"])
def test_a_clock_that_was_set_makes_no_wild_ages(stamp_ns):
    came = []
    PolledTopic(Queue((b"a", {"received_timestamp": stamp_ns})), lambda _, s: came.append(time.monotonic() - s)).drain()
    assert -0.01 <= came[0] <= 12.0


def test_no_executor_may_take_what_the_loop_takes():
    group, entity = NoExecutor(), object()
    group.add_entity(entity)
    assert group.has_entity(entity) and not group.has_entity(object())
    assert not group.can_execute(entity) and not group.beginning_execution(entity)
