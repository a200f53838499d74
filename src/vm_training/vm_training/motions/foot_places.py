"""How far along a route the feet stand: planned as a whole, or as a walker finds its way that sees half a metre."""

from __future__ import annotations

import numpy as np

EDGE_MARGIN_M = 0.14  # from a sole's centre to an edge: toe and heel stay clear of it
SIGHT_M = 0.45  # from a foot to the farthest edge that its next step can heed: the height grid's half side, less a bit
_SHORT_M = 0.12  # less room than this between the margins takes one foot, in the middle
_SHORT_END_M = 0.08  # the same for the first and the last stretch, where it takes the route's end
_NEAR_M = 0.03  # a foot this close to its place before an edge steps over it at once
_LONGER = 1.1  # steps to an edge may be longer than the stride by this factor, to save one


def foot_places(stretches: list[tuple[float, float]], stride_m: float, *, soft_ends: bool) -> list[float]:
    """Distances [m] along the route at which one foot after the other stands, both ends of the route among them.

    Args:
        stretches: level ones along the route.
        stride_m: longest step on them.
        soft_ends: begin and end with half a stride where there is room.
    """
    places: list[float] = []
    for i, (start, end) in enumerate(stretches):
        is_first, is_last = i == 0, i == len(stretches) - 1
        low = start if is_first else start + EDGE_MARGIN_M
        high = end if is_last else end - EDGE_MARGIN_M
        if len(stretches) > 1 and high - low < (_SHORT_END_M if is_first or is_last else _SHORT_M):
            places.append(start if is_first else end if is_last else 0.5 * (start + end))
        else:
            gaps = _gaps(high - low, stride_m, is_first and soft_ends, is_last and soft_ends)
            places += [low, *(low + np.cumsum(gaps)[:-1]).tolist(), high]
    return places


def _gaps(length_m: float, stride_m: float, half_first: bool, half_last: bool) -> np.ndarray:
    """Equal strides that fill a length, the first or last of them half."""
    halves = 0.5 * (half_first + half_last)
    count = max(int(np.ceil(length_m / stride_m + halves - 1e-9)), 1)
    gaps = np.ones(count)
    if count > 1:
        gaps[0] *= 0.5 if half_first else 1.0
        gaps[-1] *= 0.5 if half_last else 1.0
    return length_m * gaps / gaps.sum()


def places_as_seen(stretches: list[tuple[float, float]], stride_m: float) -> list[float]:
    """The same without foresight: full strides until an edge is in sight, then equal ones up to it.

    Nothing here depends on what lies beyond SIGHT_M, so a walker that sees the ground and is told its speed can know
    it. On narrow treads both feet stand before the next step: legs reach higher and lower so, and each step begins as
    the one before. The way ends with half a stride, and may end before the route does.

    Args:
        stretches: level ones along the route.
        stride_m: of full steps.
    """
    places = [0.0]
    for i, (start, end) in enumerate(stretches):
        is_last = i == len(stretches) - 1
        if i > 0:
            narrow = not is_last and end - start - 2.0 * EDGE_MARGIN_M < _SHORT_M
            places.append(0.5 * (start + end) if narrow else start + EDGE_MARGIN_M)
            if narrow:
                places += places[-1:]
                continue
        stride = 0.5 * stride_m if i == 0 else stride_m
        if is_last:
            places += _to_the_end(places[-1], end, stride, stride_m)
        else:
            places += _to_an_edge(places[-1], end - EDGE_MARGIN_M, stride, stride_m)
    return places


def _to_an_edge(place: float, last: float, stride: float, full: float) -> list[float]:
    """Places after `place` up to `last`, right before an edge."""
    places: list[float] = []
    while last - place > SIGHT_M - EDGE_MARGIN_M:
        place, stride = place + stride, full
        places.append(place)
    left = last - place
    if left > _NEAR_M:
        count = max(int(np.ceil(left / (_LONGER * full))), 1)
        places += [place + left * (k + 1) / count for k in range(count)]
    return places


def _to_the_end(place: float, end: float, stride: float, full: float) -> list[float]:
    """Places after `place`, the last of them half a stride farther, none beyond `end`."""
    places: list[float] = []
    while place + stride + 0.5 * full <= end:
        place, stride = place + stride, full
        places.append(place)
    return [*places, place + 0.5 * full]
