"""A step of the set-up: done once, done again when what it depends on changes; one set-up at a time."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from programs import ROOT, STATE, SetupError


@dataclass(frozen=True)
class Step:
    """What to do and when it counts as done.

    Attributes:
        name: in the log and in the mark's file name.
        action: does it; a second run after an interrupt must mend what the first has left.
        folder: what it fills; the mark lies in it, so that removing the folder is enough to have it done again.
        files: their content belongs to what it depends on.
        facts: so do these.
        disk_gb: what it takes.
        choice: what was chosen here and why, for the log.
    """

    name: str
    action: Callable[[], None]
    folder: Path
    files: tuple[Path, ...] = ()
    facts: tuple[object, ...] = ()
    disk_gb: float = 0.0
    choice: str = ""

    @property
    def mark(self) -> Path:
        return self.folder / ".setup" / (self.name.replace(" ", "_") + ".done")

    @property
    def title(self) -> str:
        return f"{self.name} ({self.choice})" if self.choice else self.name

    def digest(self) -> str:
        content = [repr((ROOT, self.facts)).encode(), *(path.read_bytes() for path in self.files)]
        return hashlib.sha256(b"".join(content)).hexdigest()

    def done(self) -> bool:
        return self.mark.is_file() and self.mark.read_text() == self.digest()

    def note_done(self) -> None:
        self.mark.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.mark.with_suffix(".tmp")
        temporary.write_text(self.digest())
        temporary.replace(self.mark)


def run_steps(steps: Iterable[Step]) -> None:
    """Does every step that is not done yet, in order; each is logged with its time in `.setup/log.txt`."""
    todo = [step for step in steps if not step.done()]
    check_disk(shutil.disk_usage(ROOT).free / 1e9, sum(step.disk_gb for step in todo), ROOT)
    for step in todo:
        print(f"setup: {step.title} …", flush=True)
        start = time.monotonic()
        step.action()
        step.note_done()
        line = f"{step.title}: {time.monotonic() - start:.1f} s"
        print(f"setup: {line}", flush=True)
        with (STATE / "log.txt").open("a") as log:
            log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")


def check_disk(free_gb: float, needed_gb: float, folder: Path) -> None:
    """Raises SetupError when the steps that are still to do do not fit."""
    if free_gb < needed_gb:
        raise SetupError(
            f"{free_gb:.1f} GB free on the disk of {folder}, the set-up still needs {needed_gb:.1f} GB; "
            "make room and run it again"
        )


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """One set-up at a time; programs that a killed one left running count, as they inherit the lock."""
    with (STATE / "lock").open("w") as lock:
        os.set_inheritable(lock.fileno(), True)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print(
                "setup: another set-up, or what a killed one left running, is at work here; waiting for it", flush=True
            )
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
