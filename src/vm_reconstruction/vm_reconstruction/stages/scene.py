"""Stage 6: the scene that contacts prove: the ground, and a box under each place above it where feet or pelvis rest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vm_core.scene_asset import SceneAsset, SceneBox
from vm_reconstruction.human_motion import HumanMotion
from vm_reconstruction.stages.stillness import speed

STEP_MIN_M = 0.09  # lower than any step, higher than the noise of a stance
SAME_STEP_M = 0.075
SLOPE_STD = 0.05  # grounds are level within 3 deg unless the feet say otherwise
STANCE_STD_M = 0.03
SEAT_DEPTH_M = 0.11  # hip joints above the seat of a sitting adult of 1.75 m (0.06 H)
TREAD_HALF_WIDTH_M, TREAD_MIN_M = 0.45, 0.30
SEAT_HALF_M = (0.22, 0.30)
THICKNESS_MIN_M = 0.02


@dataclass(frozen=True)
class Stance:
    """One foot at rest: heel and toe (2, 3) [m, world], their scatter in height [m], frames [start, end)."""

    sole: np.ndarray
    height_std_m: float
    start: int
    end: int

    @property
    def height(self) -> float:
        """Height of what carries the foot [m]: the lower end of the sole, for a stance may be on toes alone."""
        return float(self.sole[:, 2].min() * 0.5 + self.sole[:, 2].mean() * 0.5)


def run(out: Path) -> SceneAsset:
    """Reads human.npz and writes the human-sized scene to stages/scene."""
    scene = scene_of(HumanMotion.load(out / "human.npz"))
    scene.save(out / "stages" / "scene")
    return scene


def scene_of(motion: HumanMotion) -> SceneAsset:
    """The scene under a motion (a person of motion.height_m, so scale 1)."""
    found = stances(motion)
    ground, ground_std, on_ground = fit_ground(found)
    raised = [s for s, low in zip(found, on_ground, strict=True) if not low]
    boxes = [*_step_boxes(raised, found, ground, motion), *_seat_boxes(motion, ground)]
    return SceneAsset(
        boxes=tuple(boxes),
        ground=ground,
        ground_std_m=ground_std,
        scale=1.0,
        source="contacts of feet and seat",
        details={"stances": len(found), "stances_on_ground": int(sum(on_ground)), "height_m": motion.height_m},
    )


def stances(motion: HumanMotion) -> list[Stance]:
    """Every interval in which one foot rests, with where its sole was while it was slowest."""
    result = []
    for side in ("left", "right"):
        flags = motion.contact[:, motion.contact_names.index(f"{side}_foot")] > 0.5
        sole = np.stack([motion.joint(f"{side}_heel"), motion.joint(f"{side}_toe")], axis=1)
        slow = np.max([speed(sole[:, i], motion.fps) for i in (0, 1)], axis=0)
        for start, end in intervals(flags):
            frames = np.arange(start, end)
            if motion.confidence[frames].mean() < 0.3:
                continue  # nobody saw this foot
            calm = frames[slow[frames] <= np.median(slow[frames])]
            height_std = float(np.std(sole[calm, :, 2].mean(axis=1)))
            result.append(Stance(np.median(sole[calm], axis=0), height_std, start, end))
    return sorted(result, key=lambda stance: stance.start)


def intervals(flags: np.ndarray) -> list[tuple[int, int]]:
    """[start, end) of each run of true flags (T,)."""
    edges = np.diff(np.concatenate([[0], flags.astype(int), [0]]))
    return list(zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True))


def fit_ground(found: list[Stance]) -> tuple[tuple[float, float, float], float, list[bool]]:
    """Plane z = a x + b y + c under the lowest stances; returns it, its standard deviation [m], who stands on it."""
    if not found:
        return (0.0, 0.0, 0.0), 0.1, []
    xy = np.array([s.sole[:, :2].mean(axis=0) for s in found])
    z = np.array([s.height for s in found])
    member = z <= np.sort(z)[0] + STEP_MIN_M
    member |= z <= np.median(z[member]) + STEP_MIN_M
    plane = np.array([0.0, 0.0, float(np.median(z[member]))])
    for _ in range(5):
        plane = _plane(xy[member], z[member])
        next_member = np.abs(z - xy @ plane[:2] - plane[2]) < STEP_MIN_M
        if not next_member.any() or (next_member == member).all():
            break
        member = next_member
    rest = z[member] - xy[member] @ plane[:2] - plane[2]
    std = float(np.hypot(np.std(rest), STANCE_STD_M) / np.sqrt(max(1, member.sum())))
    return (float(plane[0]), float(plane[1]), float(plane[2])), std, member.tolist()


def _plane(xy: np.ndarray, z: np.ndarray) -> np.ndarray:
    rows = np.column_stack([xy - xy.mean(axis=0), np.ones(len(xy))]) / STANCE_STD_M
    prior = np.eye(3)[:2] / SLOPE_STD
    a, b, c = np.linalg.lstsq(np.vstack([rows, prior]), np.append(z / STANCE_STD_M, [0.0, 0.0]), rcond=None)[0]
    return np.array([a, b, c - xy.mean(axis=0) @ [a, b]])


def _above(ground: tuple[float, float, float], xy: np.ndarray) -> float:
    return float(xy @ np.array(ground[:2]) + ground[2])


def _step_boxes(
    raised: list[Stance], found: list[Stance], ground: tuple[float, float, float], motion: HumanMotion
) -> list[SceneBox]:
    levels = _levels(raised)
    if not levels:
        return []
    way = _travel(motion, raised)
    edges = _tread_edges(levels, found, way)
    return [_tread(level, edge, way, ground) for level, edge in zip(levels, edges, strict=True)]


def _levels(raised: list[Stance]) -> list[list[Stance]]:
    """Stances grouped by height, lowest first; a level that is far away sideways is another one."""
    levels: list[list[Stance]] = []
    for stance in sorted(raised, key=lambda s: s.height):
        for level in levels:
            near = np.linalg.norm(stance.sole.mean(axis=0)[:2] - _middle(level)[:2]) < 1.2
            if near and abs(stance.height - np.mean([s.height for s in level])) < SAME_STEP_M:
                level.append(stance)
                break
        else:
            levels.append([stance])
    return levels


def _middle(level: list[Stance]) -> np.ndarray:
    return np.mean([s.sole.mean(axis=0) for s in level], axis=0)


def _travel(motion: HumanMotion, raised: list[Stance]) -> np.ndarray:
    """Horizontal unit vector (2) of the way over the steps: along the pelvis' path while feet are up there."""
    pelvis = motion.joint("pelvis")[:, :2]
    start, end = min(s.start for s in raised), max(s.end for s in raised) - 1
    back = max(0, start - round(0.5 * motion.fps))
    way = pelvis[end] - pelvis[back]
    if np.linalg.norm(way) < 0.3:  # no way was made: the direction of the feet
        way = np.mean([(s.sole[1] - s.sole[0])[:2] for s in raised], axis=0)
    return way / max(float(np.linalg.norm(way)), 1e-9)


def _tread_edges(levels: list[list[Stance]], found: list[Stance], way: np.ndarray) -> list[tuple[float, float]]:
    """Where each level begins and ends along the way [m]: halfway between its feet and the neighbour level's."""
    spans = [_span(level, way) for level in levels]
    order = np.argsort([np.mean(span) for span in spans])
    raised = {id(s) for level in levels for s in level}
    before = [_span([s], way)[1] for s in found if id(s) not in raised]
    edges: list[tuple[float, float]] = [(0.0, 0.0)] * len(levels)
    for rank, index in enumerate(order):
        low, high = spans[index]
        middle = 0.5 * (low + high)
        behind = spans[order[rank - 1]][1] if rank else max((b for b in before if b < middle), default=low - 0.1)
        ahead = spans[order[rank + 1]][0] if rank + 1 < len(order) else high + 0.5
        start, end = min(0.5 * (behind + low), low - 0.0), max(0.5 * (high + ahead), high)
        if end - start < TREAD_MIN_M:
            start, end = middle - TREAD_MIN_M / 2, middle + TREAD_MIN_M / 2
        edges[index] = (start, end)
    return edges


def _span(level: list[Stance], way: np.ndarray) -> tuple[float, float]:
    along = np.concatenate([s.sole[:, :2] @ way for s in level])
    return float(along.min()), float(along.max())


def _tread(
    level: list[Stance], edge: tuple[float, float], way: np.ndarray, ground: tuple[float, float, float]
) -> SceneBox:
    side = np.array([-way[1], way[0]])
    across = np.concatenate([s.sole[:, :2] @ side for s in level])
    half_width = max(TREAD_HALF_WIDTH_M, 0.5 * float(np.ptp(across)) + 0.2)
    xy = way * (0.5 * (edge[0] + edge[1])) + side * (0.5 * (across.min() + across.max()))
    top = float(np.mean([s.height for s in level]))
    scatter = np.hypot(np.std([s.height for s in level]), STANCE_STD_M) / np.sqrt(len(level))
    return _box(xy, top, (0.5 * (edge[1] - edge[0]), half_width), way, ground, "step", float(scatter))


def _seat_boxes(motion: HumanMotion, ground: tuple[float, float, float]) -> list[SceneBox]:
    flags = motion.contact[:, motion.contact_names.index("seat")] > 0.5
    boxes: list[SceneBox] = []
    for start, end in intervals(flags):
        pelvis = np.median(motion.joint("pelvis")[start:end], axis=0)
        knees = np.median(0.5 * (motion.joint("left_knee") + motion.joint("right_knee"))[start:end], axis=0)
        heels = np.median(0.5 * (motion.joint("left_heel") + motion.joint("right_heel"))[start:end], axis=0)
        forward = (knees - pelvis)[:2] / max(float(np.linalg.norm((knees - pelvis)[:2])), 1e-9)
        top = float(pelvis[2] - SEAT_DEPTH_M * motion.height_m / 1.75)
        # The seat ends before the heels, else the legs would hang inside it.
        front = float(np.clip((heels - pelvis)[:2] @ forward - 0.05, 0.05, SEAT_HALF_M[0]))
        middle = pelvis[:2] + forward * 0.5 * (front - SEAT_HALF_M[0])
        half = (0.5 * (front + SEAT_HALF_M[0]), SEAT_HALF_M[1])
        if any(b.contains_xy(pelvis[None, :2])[0] and abs(b.top - top) < 0.15 for b in boxes):
            continue  # the same seat again
        std = float(np.hypot(np.std(motion.joint("pelvis")[start:end, 2]), STANCE_STD_M))
        if top - _above(ground, middle) > STEP_MIN_M:
            boxes.append(_box(middle, top, half, forward, ground, "seat", std))
    return boxes


def _box(
    xy: np.ndarray,
    top: float,
    half: tuple[float, float],
    way: np.ndarray,
    ground: tuple[float, float, float],
    label: str,
    std: float,
) -> SceneBox:
    """A box from the ground's lowest point under it up to `top`."""
    reach = float(np.hypot(*ground[:2]) * np.hypot(*half))
    bottom = min(_above(ground, xy) - reach, top - 2 * THICKNESS_MIN_M)
    center = (float(xy[0]), float(xy[1]), 0.5 * (top + bottom))
    yaw = float(np.arctan2(way[1], way[0]))
    return SceneBox(center, (half[0], half[1], 0.5 * (top - bottom)), yaw, label, std)
