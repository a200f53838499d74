"""Linear models of the error state's motion, one a clip frame, fitted to samples."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vm_training.mdp.clip_tracking import ERROR_SCALE, NUM_SPEEDS

CORRECTION_SCALE = 0.1  # rad
FELT_SCALE_N = 10.0
TRUST = 2.5  # root mean square of the scaled error beyond which a sample counts less
NEIGHBOR_WEIGHT = 0.3


@dataclass
class LocalModels:
    """x' = A[t] x + B[t] u + E[t] f + d[t] in units of ERROR_SCALE, CORRECTION_SCALE and FELT_SCALE_N.

    Attributes:
        a: (T, n, n).  b: (T, n, m).  d: (T, n).
        e: (T, n, q) of forces that are known while they last; q may be 0.
    """

    a: np.ndarray
    b: np.ndarray
    d: np.ndarray
    e: np.ndarray


@dataclass
class Samples:
    """Transitions of error states, with the clip frame that they began at."""

    frame: list[np.ndarray] = field(default_factory=list)
    x: list[np.ndarray] = field(default_factory=list)
    u: list[np.ndarray] = field(default_factory=list)
    x_next: list[np.ndarray] = field(default_factory=list)
    felt: list[np.ndarray] = field(default_factory=list)

    def add(self, frame: np.ndarray, x: np.ndarray, u: np.ndarray, x_next: np.ndarray, felt: np.ndarray) -> None:
        """Adds transitions: frame (E,), error state (E, 58), correction (E, 23) [rad], the next, forces (E, q) [N]."""
        self.frame.append(frame.copy())
        self.x.append((x / ERROR_SCALE).astype(np.float32))
        self.u.append((u / CORRECTION_SCALE).astype(np.float32))
        self.x_next.append((x_next / ERROR_SCALE).astype(np.float32))
        self.felt.append((felt / FELT_SCALE_N).astype(np.float32))

    def __len__(self) -> int:
        return sum(len(f) for f in self.frame)

    def stacked(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """frame, x, u, x_next, felt of all samples."""
        parts = (self.frame, self.x, self.u, self.x_next, self.felt)
        return tuple(np.concatenate(part) for part in parts)  # type: ignore[return-value]


def integrator_prior(dt_s: float) -> np.ndarray:
    """(n, n) in scaled units: positions move by their velocity, velocities stay. What samples are silent about."""
    prior = np.eye(2 * NUM_SPEEDS)
    ratio = ERROR_SCALE[NUM_SPEEDS:] / ERROR_SCALE[:NUM_SPEEDS]
    prior[:NUM_SPEEDS, NUM_SPEEDS:] = dt_s * np.diag(ratio)
    return prior


def fit_local_models(samples: Samples, group: np.ndarray, dt_s: float, ridge: float = 3.0) -> LocalModels:
    """Weighted ridge regression towards the integrator, for each group of frames and its neighbours.

    Args:
        samples: transitions.
        group: (F,) index of the model that each clip frame uses; rising by 0 or 1.
        dt_s: control period.
        ridge: pull towards the prior, in samples.
    """
    frame, x, u, x_next, felt = samples.stacked()
    model_of = group[np.minimum(frame, len(group) - 1)]
    order = np.argsort(model_of, kind="stable")
    ends = np.searchsorted(model_of[order], np.arange(group[-1] + 2))
    prior = integrator_prior(dt_s)
    n, m, q, count = x.shape[1], u.shape[1], felt.shape[1], int(group[-1]) + 1
    known = np.hstack([x, u, felt])
    gram, cross = _moments(x, known, x_next - x @ prior.T.astype(np.float32), order, ends)
    sizes = ((n, n), (n, m), (n,), (n, q))
    models = LocalModels(*(np.zeros((count, *size)) for size in sizes))
    for t in range(count):
        near = [k for k in (t - 1, t + 1) if 0 <= k < count]
        g = gram[t] + NEIGHBOR_WEIGHT * sum(gram[k] for k in near)
        c = cross[t] + NEIGHBOR_WEIGHT * sum(cross[k] for k in near)
        pull = np.diag(np.concatenate([np.full(n + m + q, ridge), [1e-3]]))
        solution = np.linalg.solve(g + pull, c)
        models.a[t], models.b[t], models.d[t] = solution[:n].T + prior, solution[n : n + m].T, solution[-1]
        models.e[t] = solution[n + m : n + m + q].T
    return models


def _moments(
    x: np.ndarray, known: np.ndarray, target: np.ndarray, order: np.ndarray, ends: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    width, count = known.shape[1] + 1, len(ends) - 1
    gram, cross = np.zeros((count, width, width)), np.zeros((count, width, x.shape[1]))
    for t in range(count):
        own = order[ends[t] : ends[t + 1]]
        size = np.sqrt(np.mean(x[own] ** 2, axis=1) + 1e-9)
        weight = np.exp(-np.square(np.maximum(size / TRUST - 0.4, 0.0)))[:, None]
        features = np.hstack([known[own], np.ones((len(own), 1), dtype=np.float32)])
        gram[t], cross[t] = (features * weight).T @ features, (features * weight).T @ target[own]
    return gram, cross


def frame_groups(num_frames: int, moving: np.ndarray) -> np.ndarray:
    """(F,) model index of each frame: one each while the clip moves, one for a whole stretch of standing still.

    Args:
        num_frames: F.
        moving: (F,) bool.
    """
    starts = np.concatenate([[False], moving[1:] | moving[:-1]])
    assert len(moving) == num_frames
    return np.cumsum(starts)
