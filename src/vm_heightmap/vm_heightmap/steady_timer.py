"""A thread that calls at equal steps of time, whatever the others do."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

MOST_SLEW = 0.005  # of a period that a step may be shortened or stretched
AIMS = 50  # so many are remembered; once they are so many, a call comes after all of them but the latest


class SteadyTimer:
    """Calls on a schedule without drift; a call that comes late moves no other.

    Attributes:
        missed: calls that were left out, because the one before took too long or the process did not run.
        failure: what a call raised, which ended the thread.
    """

    def __init__(self, period_s: float, call: Callable[[], None]) -> None:
        """Prepares to call every period_s seconds."""
        self._period_s, self._call = period_s, call
        self.missed = 0
        self.failure: Exception | None = None
        self._aims: deque[float] = deque(maxlen=AIMS)
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins; daemon, so that a process that ends does not wait for it."""
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="steady timer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends after the present call."""
        self._stopping = True
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        self._thread = None

    def aim(self, at_s: float) -> None:
        """Asks for a call at this moment of the monotonic clock or whole periods from it; the schedule slews there.

        Of aims that scatter, nearly all lie before a call then.
        """
        self._aims.append(at_s)

    def _run(self) -> None:
        try:
            self._keep_calling()
        except Exception as error:
            self.failure = error  # for the owner to raise: a thread's own end would go unnoticed

    def _keep_calling(self) -> None:
        due_s = time.monotonic() + self._period_s
        while not self._stopping:
            time.sleep(max(0.0, due_s - time.monotonic()))
            if self._stopping:
                return
            self._call()
            due_s += self._period_s + self._slew(due_s)
            behind = time.monotonic() - due_s
            if behind > 0.0:
                skipped = int(behind // self._period_s) + 1
                self.missed += skipped
                due_s += skipped * self._period_s

    def _slew(self, due_s: float) -> float:
        aims = tuple(self._aims)  # the owner's thread adds to them
        if not aims:
            return 0.0
        half = 0.5 * self._period_s
        offs = sorted((aim_s - due_s + half) % self._period_s - half for aim_s in aims)
        off, most = offs[-1 - len(offs) // AIMS], MOST_SLEW * self._period_s
        return min(max(off, -most), most)
