"""What the user hears of a stage: a progress bar with the time that is left, and warnings, which the report repeats."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from contextvars import ContextVar

from tqdm import tqdm

_heard: ContextVar[list[str] | None] = ContextVar("heard", default=None)


class FrameProgress:
    """A bar over the frames of one stage; use as a context manager."""

    def __init__(self, name: str, total: int) -> None:
        """Args: name: the stage; total: number of steps."""
        self._bar = tqdm(total=total, desc=f"{name:<10}", unit="frame", file=sys.stderr, dynamic_ncols=True)

    def step(self, count: int = 1) -> None:
        """Moves the bar on."""
        self._bar.update(count)

    def __enter__(self) -> FrameProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()


def warn(message: str) -> None:
    """One line to the user, without breaking the bar."""
    tqdm.write(f"warning: {message}", file=sys.stderr)
    heard = _heard.get()
    if heard is not None:
        heard.append(message)


@contextlib.contextmanager
def hearing() -> Iterator[list[str]]:
    """The warnings that are given meanwhile."""
    messages: list[str] = []
    token = _heard.set(messages)
    try:
        yield messages
    finally:
        _heard.reset(token)
