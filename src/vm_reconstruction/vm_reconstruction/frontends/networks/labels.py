"""Whose pixel is whose: where each person is pointed out to a mask tracker, and who has what several claim."""

from __future__ import annotations

import numpy as np

from vm_core.errors import VmError
from vm_reconstruction.frontends.networks.parts import Prompt
from vm_reconstruction.solver.body_problem import POINTS

SURE = 0.3  # confidence of an image point that may point somebody out
_TRUNK = [POINTS.index(f"{side}_{part}") for side in ("left", "right") for part in ("shoulder", "hip", "knee")]


def prompt(boxes: np.ndarray, xy_px: np.ndarray, confidence: np.ndarray, person: int) -> Prompt:
    """Where one of P people is seen best: large, sure, and with the least of another in the box.

    With others in the video, the trunk's sure points go with the box, as far as no other box has them: a box alone does
    not tell which of two people in it is meant. Sure points of others outside the box are told to be somebody else's.

    Args:
        boxes: (P, T, 4) x0 y0 x1 y1 [px], NaN where somebody was not found.
        xy_px: (P, T, 17, 2); confidence: (P, T, 17).
        person: index of the person.

    Raises:
        VmError: the person was never found.
    """
    own, others = boxes[person], np.delete(boxes, person, axis=0)
    area = np.nan_to_num((own[:, 2:] - own[:, :2]).prod(axis=1))
    free = 1.0 - np.max([covered_share(own, other) for other in others], axis=0, initial=0.0)
    if not np.isfinite(own).all(axis=1).any():
        raise VmError(f"person {person + 1} is in no frame's picture; expected somebody whom a mask can follow")
    first = int(np.argmax(np.where(np.isfinite(own[:, 0]), area * confidence[person].mean(axis=1) * free, -1.0)))
    sure = (confidence[:, first] > SURE)[:, _TRUNK]
    points, at = xy_px[:, first][:, _TRUNK], boxes[:, first]
    inside = np.stack([_inside(points, box) for box in at])  # [box, person, point]
    foreign = np.delete(inside, person, axis=0)[:, person].any(axis=0)
    mine = points[person][sure[person] & inside[person, person] & ~foreign] if len(others) else points[:0, 0]
    theirs = [points[k][sure[k] & ~inside[person, k]] for k in range(len(boxes)) if k != person]
    return Prompt(first, own[first], mine, np.concatenate([points[:0, 0], *theirs]))


def covered_share(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(T,) share of each of boxes (T, 4) that the other (T, 4) covers; 0 where either is NaN."""
    low, high = np.maximum(boxes[:, :2], others[:, :2]), np.minimum(boxes[:, 2:], others[:, 2:])
    both = np.maximum(high - low, 0.0).prod(axis=1)
    return np.nan_to_num(both / np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), 1e-9))


def _inside(points: np.ndarray, box: np.ndarray) -> np.ndarray:
    """(...) bool of points (..., 2) in one box (4,); nowhere in one of NaN."""
    return np.all((points >= box[:2]) & (points <= box[2:]), axis=-1)


def parted(scores: np.ndarray) -> np.ndarray:
    """(P, T, h, w) bool: each pixel is of who claims it most; nobody's where no score is positive.

    Args:
        scores: (P, T, h, w), such as a mask network's logits (the surer one) or one over the distance (the nearer one).
    """
    best = scores.argmax(axis=0)
    return np.stack([(best == k) & (scores[k] > 0) for k in range(len(scores))])


def labelled(masks: list[np.ndarray]) -> np.ndarray:
    """(T, h, w) uint8 from masks that keep apart (T, h, w): 0 nobody, k the k-th person."""
    result = np.zeros(masks[0].shape, np.uint8)
    for k, mask in enumerate(masks):
        result[mask] = k + 1
    return result
