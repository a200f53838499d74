"""Levenberg-Marquardt over the arrow-shaped normal equations, with robust weights anew in every step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from vm_reconstruction.solver.joint.arrow import NormalEquations
from vm_reconstruction.solver.joint.rows import Rows


class State(Protocol):
    """What is solved for."""

    def moved(self, by_frame: np.ndarray, shared: np.ndarray) -> Any:
        """The state after a step: by_frame (T, k), shared (g,)."""
        ...


S = TypeVar("S", bound=State)
MOST_DAMPING = 1e6  # beyond it steps are too short to matter


@dataclass(frozen=True)
class Solution(Generic[S]):
    """The state found, its cost, and how the solver got there; `converged`: the last step hardly lowered the cost.

    `normal`: the equations there; None where nobody asked for them.
    """

    state: S
    cost: float
    iterations: int
    converged: bool
    normal: NormalEquations | None


def minimize(
    model: Callable[[S], Iterable[Rows]],
    start: S,
    sizes: tuple[int, int, int],
    max_iterations: int = 12,
    tol: float = 1e-4,
    damping: float = 1e-4,
    equations: bool = True,
) -> Solution[S]:
    """Finds a minimum near `start`.

    Args:
        model: residual rows of a state.
        start: first guess.
        sizes: frames, unknowns a frame, shared unknowns.
        max_iterations: accepted and refused steps together.
        tol: relative decrease of the cost that counts as none.
        damping: first one.
        equations: whether those at the end are wanted; without, the last step allowed is only judged by its cost.
    """
    normal = NormalEquations(*sizes)
    state, cost = start, normal.assemble(model(start))
    converged, iteration = False, 0
    while iteration < max_iterations and not converged and damping <= MOST_DAMPING:
        iteration += 1
        read_again = equations or iteration < max_iterations
        step = normal.step(damping)
        trial = state.moved(*step) if step is not None else state
        value = normal.assemble if read_again else _cost
        trial_cost = value(model(trial)) if step is not None else np.inf
        if not trial_cost < cost:
            damping *= 10.0
            if read_again:
                normal.assemble(model(state))  # seldom; keeping both would double the memory
            continue
        converged = (cost - trial_cost) / max(cost, 1e-300) < tol
        state, cost, damping = trial, trial_cost, max(damping * 0.2, 1e-9)
    return Solution(state, cost, iteration, converged, normal if equations else None)


def _cost(rows: Iterable[Rows]) -> float:
    return sum(r.cost() for r in rows)
