"""Straight edges of the background in some frames of a video: what `geometry.vertical_lines` finds the vertical in."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

MOST_FRAMES, MOST_EDGES = 20, 150  # frames that are looked at, over the whole clip; longest segments of each
SHORTEST_SHARE = 0.04  # of the picture's longer side
BORDER_SHARE = 0.02  # what runs along the picture's border is the picture's, not the place's
SAMPLES = 9  # along a segment, all of which must be background


class EdgeCollector:
    """Takes frames one after the other and looks at some, evenly over the clip."""

    def __init__(self, num_frames: int) -> None:
        """Args: num_frames: of the clip."""
        self.chosen = set(np.linspace(0, num_frames - 1, min(MOST_FRAMES, num_frames)).astype(int).tolist())
        self._segments: list[np.ndarray] = [np.zeros((0, 4))]
        self._frames: list[np.ndarray] = [np.zeros(0, int)]

    def add(self, index: int, gray: np.ndarray, background: np.ndarray) -> None:
        """Takes frame `index`, (h, w) uint8; background (h, w) is nonzero where nobody is."""
        if index in self.chosen:
            self._segments.append(straight_edges(gray, background))
            self._frames.append(np.full(len(self._segments[-1]), index))

    def found(self) -> tuple[np.ndarray, np.ndarray]:
        """Segments (M, 4: x y x y) [px] and the frame (M,) of each."""
        return np.concatenate(self._segments), np.concatenate(self._frames)


def around_people(pictures: Iterable[np.ndarray], masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`EdgeCollector.found` of pictures (h, w, 3) BGR; masks (T, h', w') bool: people, at any size."""
    edges = EdgeCollector(len(masks))
    for index, picture in enumerate(pictures):
        if index in edges.chosen:
            people = cv2.resize(masks[index].astype(np.uint8), (picture.shape[1], picture.shape[0]))
            background = np.where(cv2.dilate(people, np.ones((25, 25), np.uint8)) > 0, 0, 255)
            edges.add(index, cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), background)
    return edges.found()


def straight_edges(gray: np.ndarray, background: np.ndarray) -> np.ndarray:
    """The longest segments (M, 4: x y x y) [px] of a picture (h, w) uint8 that lie on its background.

    Found by LSD (von Gioi et al., LSD: a line segment detector, IPOL 2012), which needs no threshold.
    """
    segments = cv2.createLineSegmentDetector().detect(gray)[0]
    if segments is None:
        return np.zeros((0, 4))
    segments = segments.reshape(-1, 4).astype(float)
    length = np.hypot(*(segments[:, 2:] - segments[:, :2]).T)
    keep = length > SHORTEST_SHARE * max(gray.shape)
    segments, length = segments[keep], length[keep]
    share = np.linspace(0.0, 1.0, SAMPLES)[:, None, None]
    points = (segments[:, :2] * (1 - share) + segments[:, 2:] * share).transpose(1, 0, 2)  # (M, samples, 2)
    height, width = gray.shape
    column, row = np.clip(np.rint(points), 0, [width - 1, height - 1]).astype(int).transpose(2, 0, 1)
    margin = BORDER_SHARE * np.array([width, height])
    border = np.all(points < margin, axis=1) | np.all(points > [width, height] - margin, axis=1)
    keep = np.all(background[row, column] > 0, axis=1) & ~np.any(border, axis=1)
    longest = np.argsort(-length[keep], kind="stable")[:MOST_EDGES]
    return segments[keep][longest]
