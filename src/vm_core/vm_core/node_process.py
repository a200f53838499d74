"""How the process of a ROS node runs and ends.

A node's program hands rclpy in; nothing of ROS is imported here.
"""

from __future__ import annotations

import contextlib
import faulthandler
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, TypeVar

from vm_core import command_line

NodeT = TypeVar("NodeT")

INTERRUPTED = threading.Event()
"""An exception that a signal raises inside the middleware's own code gets lost there; loops look here, too."""
CLOSE_S = 20.0
"""For how long the middleware may close. Where two processes end at once Fast DDS 3.2 now and then never does: it waits
for a callback that waits for a lock, and takes a whole core (Fast-DDS issue 6513; `remove_remote_participant`)."""
SWITCH_INTERVAL_S = 0.0005
"""For how long one thread of Python may keep the interpreter from another, which keeps time; Python's own is 5 ms."""
_GLANCE_S = 0.5
_held_back = 0


def _nothing(_: Any) -> None:
    pass


def run(
    rclpy: ModuleType,
    make: Callable[[], NodeT],
    work: Callable[[NodeT], None] | None = None,
    end: Callable[[NodeT], None] = _nothing,
) -> None:
    """The `main` of a node.

    SIGINT, SIGTERM and SIGHUP (its terminal has gone) raise KeyboardInterrupt: rclpy's own handlers would close the
    context in the middle of a message, before the node's last one is out. That somebody else closes the context is an
    end like any other.

    Args:
        rclpy: the client library.
        make: the node's class.
        work: what it does until it is told to end; None: it serves its callbacks.
        end: what it does last.

    Raises:
        SystemExit: always, with the codes of `command_line.run`.
    """
    command_line.run(lambda: _process(rclpy, make, work or (lambda node: spin(rclpy, node)), end))


def take_turns() -> None:
    """Threads of this process keep the interpreter from one another for a short time only."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)


def spin(rclpy: ModuleType, node: Any) -> None:
    """Serves a node's callbacks, one after the other, until the process is told to end."""
    executor = rclpy.get_global_executor()
    executor.add_node(node)
    while not INTERRUPTED.is_set():
        executor.spin_once(timeout_sec=_GLANCE_S)
    raise KeyboardInterrupt


def _process(rclpy: ModuleType, make: Callable[[], Any], work: Callable, end: Callable) -> None:
    rclpy.init(args=sys.argv, signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
    _on_signals(_as_interrupt)
    rclpy.get_global_executor()  # loads rclpy.executors
    try:
        node = make()
        try:
            work(node)
        finally:
            _on_signals(signal.SIG_IGN)  # a second Ctrl-C must not cut the last commands off
            end(node)
            with closing():
                node.destroy_node()
    except rclpy.executors.ExternalShutdownException:
        pass
    finally:
        with closing():
            rclpy.try_shutdown()


@contextlib.contextmanager
def closing() -> Iterator[None]:
    """The process ends with code 1 and says where it hung if what is done here takes longer than CLOSE_S.

    A thread of Python's could not see to that: the middleware keeps the interpreter's lock while it closes.
    """
    faulthandler.dump_traceback_later(CLOSE_S, exit=True, file=2)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def _on_signals(handler: Any) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup means it
        signal.signal(signal.SIGHUP, handler)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """What is done here is done to its end: a signal's KeyboardInterrupt comes after it. For the main thread.

    Raises:
        KeyboardInterrupt: at the end, if a signal came.
    """
    global _held_back
    _held_back += 1
    try:
        yield
    finally:
        _held_back -= 1
    if INTERRUPTED.is_set() and not _held_back and signal.getsignal(signal.SIGINT) is _as_interrupt:
        raise KeyboardInterrupt


def _as_interrupt(*_: object) -> None:
    INTERRUPTED.set()
    if not _held_back:
        raise KeyboardInterrupt
