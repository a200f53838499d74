"""How processes of nodes share the interpreter, and when a signal may stop them."""

import signal
import sys

import pytest

from vm_core import node_process


def test_threads_of_a_node_keep_the_interpreter_for_less_than_pythons_own_interval():
    before = sys.getswitchinterval()
    try:
        node_process.take_turns()
        assert sys.getswitchinterval() == node_process.SWITCH_INTERVAL_S < before
    finally:
        sys.setswitchinterval(before)


@pytest.fixture
def told_to_end():
    """Signals as in a node's process."""
    before = signal.signal(signal.SIGINT, node_process._as_interrupt)
    yield
    signal.signal(signal.SIGINT, before)
    node_process.INTERRUPTED.clear()


def test_what_must_not_be_cut_off_is_done_to_its_end_first(told_to_end):
    done = []
    with pytest.raises(KeyboardInterrupt), node_process.uninterrupted():
        with node_process.uninterrupted():
            signal.raise_signal(signal.SIGINT)
            done.append("inner")
        done.append("outer")
    assert done == ["inner", "outer"]


def test_without_it_a_signal_stops_at_once_and_nothing_is_raised_where_none_came(told_to_end):
    with node_process.uninterrupted():
        pass
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
        raise AssertionError
