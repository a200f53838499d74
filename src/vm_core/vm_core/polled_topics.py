"""Subscriptions that a loop empties when it wants to, instead of being woken by every message.

An executor of rclpy spends about half a millisecond on each message that wakes it; at the robot's 500 states a second
that is a core. Emptying a queue costs a few microseconds a message. Nothing of ROS is imported here: nodes hand in
what they have made.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


class NoExecutor:
    """A callback group for `create_subscription` whose messages no executor takes."""

    def __init__(self) -> None:
        self._entities: list[Any] = []

    def add_entity(self, entity: Any) -> None:
        """As rclpy's groups."""
        self._entities.append(entity)

    def has_entity(self, entity: Any) -> bool:
        """As rclpy's groups."""
        return entity in self._entities

    def can_execute(self, _: Any) -> bool:
        """Never: that is the point."""
        return False

    def beginning_execution(self, _: Any) -> bool:
        """As rclpy's groups; nothing is ever executed."""
        return False

    def ending_execution(self, _: Any) -> None:
        """As rclpy's groups."""


class PolledTopic:
    """One subscription and what takes its messages."""

    def __init__(self, subscription: Any, take: Callable[[Any, float], None]) -> None:
        """Args: a subscription made with a `NoExecutor` group; `take(message, came_s)`, time on the monotonic clock."""
        self._subscription, self._take = subscription, take
        self._most = max(subscription.qos_profile.depth, 1)

    def drain(self) -> int:
        """Hands over what waits, oldest first, with the moment at which it reached this process.

        Never more than the queue holds: who sends faster than they are taken must not keep the loop here.

        Returns:
            How many there were.
        """
        subscription = self._subscription
        with subscription.handle:
            for count in range(self._most):
                taken = subscription.handle.take_message(subscription.msg_type, subscription.raw)
                if taken is None:
                    return count
                message, info = taken
                self._take(message, _monotonic_s(info.get("received_timestamp", 0)))
        return self._most


def _monotonic_s(received_ns: int) -> float:
    """A system time [ns] on the monotonic clock [s]; now, where the middleware does not tell."""
    waited_s = 1e-9 * (time.time_ns() - received_ns) if received_ns else 0.0
    return time.monotonic() - min(max(waited_s, 0.0), _LONGEST_WAIT_S)


_LONGEST_WAIT_S = 10.0  # more is a system clock that was set meanwhile
