"""Gains of one seat for another: the moves take equal time, only the rest between them does not."""

from __future__ import annotations

import numpy as np

from vm_training.motions.seats import SitTimeline
from vm_training.teachers.sampled_lqr import LqrTeacher

BLEND_S = 0.3
"""From a seat's gains to a walk's, where one begins to stand."""


def seat_transferred(
    donor: LqrTeacher, own: SitTimeline, timeline: SitTimeline, num_frames: int, fps: float
) -> LqrTeacher:
    """A teacher for a seat of another height, or for a longer or shorter rest.

    Args:
        donor: teacher at a seat.
        own: when it does what.
        timeline: of the clip that wants a teacher.
        num_frames: of that clip.
        fps: of both.
    """
    gains = donor.gains[donor_frames(own, timeline, num_frames, fps, len(donor.gains))].copy()
    gains[:, :, -1] = 0.0  # what is constant belongs to the donor's own seat
    return LqrTeacher(gains, donor.limit_rad)


def standing_as_a_walk_does(teacher: LqrTeacher, walk: LqrTeacher, timeline: SitTimeline, fps: float) -> LqrTeacher:
    """A seat's teacher that stands by a walk's gains: who learns from both must not be told two things of one pose.

    Args:
        teacher: of a clip at a seat.
        walk: of a walk that begins with standing in the same pose.
        timeline: of the clip.
        fps: of the clip.
    """
    time_s = np.arange(len(teacher.gains)) / fps
    moves_s = timeline.seated_s - timeline.down_s
    before, after = timeline.down_s - time_s, time_s - (timeline.rise_s + moves_s)
    share = np.ones(len(time_s)) if np.isinf(moves_s) else np.clip(np.maximum(before, after) / BLEND_S, 0.0, 1.0)
    gains = (1.0 - share)[:, None, None] * teacher.gains + share[:, None, None] * walk.gains[0]
    return LqrTeacher(gains, max(teacher.limit_rad, walk.limit_rad))


def donor_frames(own: SitTimeline, timeline: SitTimeline, num_frames: int, fps: float, donated: int) -> np.ndarray:
    """(num_frames,) the donor's frame, of `donated`, for each frame: in step on the way down, at rest, and up."""
    time_s = np.arange(num_frames) / fps
    found = np.minimum(time_s, min(own.rise_s, donated / fps))
    if np.isfinite(timeline.rise_s):
        found = np.where(time_s >= timeline.rise_s, time_s - timeline.rise_s + own.rise_s, found)
    return np.clip(np.round(found * fps).astype(int), 0, donated - 1)
