"""Hands videos to workers on Ray: as many at a time as there are workers, again after a crash, results as they come."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from vm_core.errors import VmError
from vm_reconstruction.batch.plan import Job
from vm_reconstruction.batch.worker import Outcome, Settings, Worker

STORE_BYTES = 100_000_000  # results are files; Ray's store carries names only


@dataclass
class _Try:
    job: Job
    left: int


def run_jobs(
    jobs: list[Job], settings: Settings, workers: int, retries: int, ray_address: str | None
) -> Iterator[Outcome]:
    """One outcome a video, in the order in which they end.

    A worker that dies (killed, out of memory) is replaced and its video tried again, `retries` times.

    Raises:
        VmError: no Ray, or no cluster at the address.
    """
    ray = _start_ray(workers, ray_address)
    remote = ray.remote(num_cpus=1, max_restarts=0)(Worker)
    waiting, running = deque(_Try(job, retries) for job in jobs), {}
    idle = [remote.remote(settings) for _ in range(min(workers, len(jobs)))]
    try:
        while waiting or running:
            while waiting and idle:
                worker, attempt = idle.pop(), waiting.popleft()
                running[worker.run.remote(attempt.job)] = worker, attempt
            ready, _ = ray.wait(list(running), num_returns=1)
            worker, attempt = running.pop(ready[0])
            outcome, alive = _outcome(ray, ready[0], attempt)
            idle.append(worker if alive else remote.remote(settings))
            if outcome.error and not outcome.final and attempt.left > 0:
                waiting.append(replace(attempt, left=attempt.left - 1))
                continue
            yield outcome
    finally:
        ray.shutdown()


def _outcome(ray: Any, reference: Any, attempt: _Try) -> tuple[Outcome, bool]:
    """What a try said, and whether its worker still lives."""
    try:
        return ray.get(reference), True
    except ray.exceptions.RayError as error:
        cause = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        return Outcome(attempt.job.name, 0.0, f"the worker died: {cause}", final=False), False


def _start_ray(workers: int, address: str | None) -> Any:
    try:
        import ray
    except ImportError:
        raise VmError("vm-reconstruct batch needs ray; install it with: pip install ray==2.60.0") from None
    if address:
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise VmError(f"no Ray cluster at {address}: {error}") from None
        return ray
    ray.init(
        num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR,
        object_store_memory=STORE_BYTES, configure_logging=False,
    )  # fmt: skip
    return ray
