"""One worker: loads its models once and reconstructs video after video, each with a log of its own."""

from __future__ import annotations

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vm_core.errors import VmError
from vm_reconstruction.batch.plan import Job

LOG_FILE = "log.txt"


@dataclass(frozen=True)
class Settings:
    """What holds for all videos of a batch; names as in `vm-reconstruct`."""

    out: Path
    scale: Literal["robot", "human"]
    solver: Literal["single", "joint"]
    frontend: str
    until: str


@dataclass(frozen=True)
class Outcome:
    """How one try ended: `error` is empty when it went well; `final`: another try would end the same way."""

    name: str
    seconds: float
    error: str = ""
    final: bool = True


class Worker:
    """Runs in a process of its own."""

    def __init__(self, settings: Settings) -> None:
        for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ[variable] = "1"
        self._settings = settings
        self._frontend: Any = None

    def run(self, job: Job) -> Outcome:
        """One video; never raises."""
        out, began = self._settings.out / job.name, time.monotonic()
        try:
            out.mkdir(parents=True, exist_ok=True)
            with _logged(out / LOG_FILE):
                try:
                    self._reconstruct(job, out)
                except VmError as error:
                    print(f"error: {error}", file=sys.stderr)
                    return Outcome(job.name, time.monotonic() - began, str(error))
                except Exception:
                    traceback.print_exc()
                    raise
        except Exception as error:  # a bug or a full disk of one video must not end the others
            return Outcome(job.name, time.monotonic() - began, f"{type(error).__name__}: {error}", final=False)
        return Outcome(job.name, time.monotonic() - began)

    def _reconstruct(self, job: Job, out: Path) -> None:
        from vm_reconstruction import pipeline
        from vm_reconstruction.configuration import ReconstructionConfig

        s = self._settings
        if self._frontend is None:
            self._frontend = pipeline.frontend_of(s.solver, s.frontend)
        config = ReconstructionConfig(
            job.video, out, job.heights_m[0], scale=s.scale, until=s.until, solver=s.solver, frontend=s.frontend,
            other_heights_m=job.heights_m[1:],
        )  # fmt: skip
        pipeline.run(config, self._frontend)


@contextlib.contextmanager
def _logged(path: Path) -> Iterator[None]:
    """Everything that this process and its children print goes to the end of a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with path.open("ab", buffering=0) as log:
        log.write(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')}\n".encode())
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        stderr, sys.stderr = sys.stderr, os.fdopen(os.dup(2), "w", buffering=1)
        stdout, sys.stdout = sys.stdout, os.fdopen(os.dup(1), "w", buffering=1)
        try:
            yield
        finally:
            sys.stderr.close()
            sys.stdout.close()
            sys.stderr, sys.stdout = stderr, stdout
            for number, old in zip((1, 2), kept, strict=True):
                os.dup2(old, number)
                os.close(old)
