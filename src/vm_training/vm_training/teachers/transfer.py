"""Gains of one walk for another: steps of equal time and like side take each other's, so few walks need sampling."""

from __future__ import annotations

import numpy as np

from vm_training.mdp.mirror import mirrored_gains
from vm_training.mdp.operators import Timing
from vm_training.teachers.sampled_lqr import LqrTeacher

LAST_STEPS = 3
"""These, and standing after them, are taken from the donor's end; the others from its start, or two steps earlier."""


def transferred(donor: LqrTeacher, own: Timing, timing: Timing, num_frames: int, fps: float) -> LqrTeacher:
    """A teacher for a walk of another length, speed, curvature or ground.

    Args:
        donor: teacher of a walk of at least LAST_STEPS + 3 steps.
        own: timing of the donor's walk.
        timing: of the walk that wants a teacher.
        num_frames: of that walk.
        fps: of both.
    """
    frame, mirrored = donor_frames(own, timing, num_frames, fps)
    frame = np.clip(frame, 0, len(donor.gains) - 1)
    gains = donor.gains[frame].copy()
    gains[mirrored] = mirrored_gains(gains[mirrored])
    gains[:, :, -1] = 0.0  # what is constant belongs to the donor's own walk
    return LqrTeacher(gains, donor.limit_rad)


def donor_frames(own: Timing, timing: Timing, num_frames: int, fps: float) -> tuple[np.ndarray, np.ndarray]:
    """For each frame of a walk, (num_frames,) the donor's frame in step with it, and whether it is its mirror image.

    Args:
        own: timing of the donor's walk.
        timing: of the walk.
        num_frames: of the walk.
        fps: of both.
    """
    time_s = np.arange(num_frames) / fps - timing.start_s
    last_s = timing.walk_s - LAST_STEPS * timing.step_s
    steady_s = own.walk_s - LAST_STEPS * own.step_s
    cycles = np.maximum(np.ceil((time_s - steady_s) / (2.0 * own.step_s)), 0.0)
    from_start = time_s - 2.0 * own.step_s * cycles
    from_end = time_s - timing.walk_s + own.walk_s
    ends = time_s >= last_s
    frame = np.round((np.where(ends, from_end, from_start) + own.start_s) * fps).astype(int)
    odd = round((own.walk_s - timing.walk_s) / own.step_s) % 2 == 1
    return np.maximum(frame, 0), ends & odd
