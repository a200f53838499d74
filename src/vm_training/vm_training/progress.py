"""Progress bars of trainings: one line a stage, with time left, and the newest figures behind it."""

from __future__ import annotations

from types import TracebackType

from tqdm import tqdm


class Progress:
    """A bar over a stage's rounds; use it in a `with` block."""

    def __init__(self, stage: str, rounds: int, done: int = 0, unit: str = "round", leave: bool = True) -> None:
        self._bar = tqdm(
            total=rounds, initial=done, desc=f"{stage:<10}", unit=unit, dynamic_ncols=True, leave=leave, mininterval=1.0
        )

    def round_done(self, **figures: str) -> None:
        """One round further, with figures to show."""
        self._bar.set_postfix(figures, refresh=False)
        self._bar.update(1)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
