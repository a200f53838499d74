"""Walking as a table of keypoints: what a scripted generator looks up to say where root, head, hands and feet go next.

Planned walks of equal timing, one for each stride, turn and way of holding the arms, are read in the frame of each
foot: where root and keypoints are `LEAD_S` later. A robot that knows where its feet are by its joints can then be told
how to go on without knowing where in the world it is; see `PelvisOverFeet` for the same thought.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np

from vm_core.atomic_files import atomic_path
from vm_core.errors import VmError
from vm_core.frames import heading_quat, quat_rotate, quat_rotate_inverse, yaw_from_quat
from vm_core.gait_clock import QUICK_STOP, RAMP_S, steps_of_walk
from vm_core.keypoint_command import COMMAND_SIZE, keypoints_of_joints
from vm_training.mdp.feet import foot_poses
from vm_training.motions.courses import QUICK_STEP_S
from vm_training.motions.footsteps import Gait
from vm_training.progress import Progress
from vm_training.visual.mirrored import COMMAND_ORDER, COMMAND_SIGN
from vm_training.visual.motion_library import common_motion, planned, steady_plan
from vm_training.visual.motions import ARMS_AT_EASE, SLOW_STEP_S, gait_of, reaching_arms
from vm_training.visual.planned_motion import PlannedMotion
from vm_training.visual.tracker import LEAD_S

STAND_S, STEPS = Gait().stand_s, 8
SETTLES_S = 1.3
"""Time in which a walk comes to its speed, in an even number of steps."""
STRIDES_M, TURNS_RAD = (0.0, 0.13, 0.26), (-0.13, 0.0, 0.13)
"""Of a step of SLOW_STEP_S; quicker ones are shorter, so that a stick asks for the same speeds whatever the steps."""
REACHING = reaching_arms(-0.65, 0.15, 0.0, 1.0)
STYLES: tuple[tuple[np.ndarray, float], ...] = ((ARMS_AT_EASE, 0.0), (REACHING, 0.0), (REACHING, 25.0))
"""Arms and the load that the body leans against [N]: at ease, reaching, pushing."""
FPS = 50.0


@dataclass
class BatchGaitClock:
    """`vm_core.gait_clock.GaitClock` of N robots.

    Attributes:
        count: N.  step_s: of a step.  steps_to_rest: of `vm_core.gait_clock.steps_of_walk`.
        since_s: (N,) since the first lift-off; NaN at rest.
        walk_s: (N,) to the last touch-down; infinite while it is not decided.
    """

    count: int
    steps_to_rest: float = QUICK_STOP
    step_s: float = SLOW_STEP_S
    since_s: np.ndarray = field(init=False)
    walk_s: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.since_s, self.walk_s = np.full(self.count, np.nan), np.full(self.count, np.inf)

    def reset(self, envs: np.ndarray) -> None:
        """Robots (E,) rest."""
        self.since_s[envs], self.walk_s[envs] = np.nan, np.inf

    def update(self, wanted: np.ndarray, period_s: float) -> tuple[np.ndarray, np.ndarray]:
        """since_s and walk_s of this control period; then time goes on.

        Args:
            wanted: (N,) bool: whether to walk.
            period_s: control period.
        """
        starts = np.isnan(self.since_s) & wanted
        self.since_s[starts], self.walk_s[starts] = -RAMP_S, np.inf
        going = ~np.isnan(self.since_s)
        self.walk_s[going & wanted & (self.since_s < self.walk_s)] = np.inf
        ends = going & ~wanted & np.isinf(self.walk_s)
        self.walk_s[ends] = steps_of_walk(self.since_s[ends], self.step_s, self.steps_to_rest) * self.step_s
        now = self.since_s.copy(), self.walk_s.copy()
        self.since_s += period_s
        self.reset(np.flatnonzero(self.since_s >= self.walk_s + RAMP_S))
        return now


def plan_time(since_s: np.ndarray, walk_s: np.ndarray, step_s: float = SLOW_STEP_S) -> tuple[np.ndarray, np.ndarray]:
    """Time (N,) in a planned walk of STEPS of step_s and a closing step, and (N,) whether as a mirror shows it.

    The first steps are the plan's first, all others like the one after these until the last two, its half and its
    closing one.
    """
    first = 2 * round(0.5 * SETTLES_S / step_s)
    at_rest = np.isnan(since_s)
    since = np.where(at_rest, -STAND_S, since_s)
    step = np.floor(since / step_s)
    last = np.where(np.isinf(walk_s), 1e9, np.round(np.where(np.isinf(walk_s), 0.0, walk_s) / step_s))
    within = since - step * step_s
    time_s, odd = STAND_S + since, step % 2 == 1
    cruising = step >= first
    time_s = np.where(cruising, STAND_S + first * step_s + within, time_s)
    mirrored = cruising & odd
    slows, closes, rests = step == last - 2, step == last - 1, step >= last
    time_s = np.where(slows, STAND_S + (STEPS - 1) * step_s + within, time_s)
    mirrored = np.where(slows, ~odd, mirrored)
    time_s = np.where(closes, STAND_S + STEPS * step_s + within, time_s)
    mirrored = np.where(closes, odd, mirrored)
    time_s = np.where(rests, STAND_S + (STEPS + 1) * step_s + since - last * step_s, time_s)
    mirrored = np.where(rests, last % 2 == 0, mirrored)
    return np.where(at_rest, 0.0, time_s), mirrored & ~at_rest


@dataclass(frozen=True)
class GaitTable:
    """Where root and keypoints go, seen from the feet.

    Attributes:
        ahead: (styles, strides, turns, F, 2, 19) of each foot: root and keypoints `LEAD_S` later in the foot's heading
            frame [m], and the pelvis' heading then [rad].
        bearing: (F, 2) weights of the feet.
        stand_qpos: (30,) at rest before the first step.  stand_target: (23,) what holds it [rad].
        step_s: of a step.
    """

    ahead: np.ndarray
    bearing: np.ndarray
    stand_qpos: np.ndarray
    stand_target: np.ndarray
    step_s: float = SLOW_STEP_S

    @property
    def stand_keypoints(self) -> np.ndarray:
        """(5, 3) keypoints of standing at rest, from the pelvis in its heading's axes [m]."""
        qpos = self.stand_qpos[None]
        points = keypoints_of_joints(np.zeros((1, 3)), qpos[:, 3:7], qpos[:, 7:])[0]
        return quat_rotate_inverse(heading_quat(qpos[:, 3:7]), points)

    def look_up(
        self, time_s: np.ndarray, mirrored: np.ndarray, stride: np.ndarray, turn: np.ndarray, style: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """(N, 2, 19) as `ahead`, and (N, 2) weights, left foot first.

        Args:
            time_s, mirrored: (N,) of `plan_time`.
            stride: (N,) [m].  turn: (N,) to the left [rad], both in SLOW_STEP_S; the table's slope goes on beyond its
                widest turn.
            style: (N,) 0 at ease, 1 reaching, 2 pushing, and between.
        """
        turn = np.where(mirrored, -turn, turn)
        found = np.zeros((len(time_s), 2, COMMAND_SIZE + 1))
        frames = _between(time_s * FPS, self.ahead.shape[3])
        corners = [
            _between(style, len(STYLES)),
            _between(stride / STRIDES_M[1], len(STRIDES_M)),
            _between((turn - TURNS_RAD[0]) / TURNS_RAD[2], len(TURNS_RAD), beyond=True),
            frames,
        ]
        for choice in product((0, 1), repeat=4):
            at = tuple(low + pick for (low, _), pick in zip(corners, choice, strict=True))
            weight = np.prod([s if pick else 1.0 - s for (_, s), pick in zip(corners, choice, strict=True)], axis=0)
            found += weight[:, None, None] * self.ahead[at]
        low, share = frames
        bearing = (1.0 - share)[:, None] * self.bearing[low] + share[:, None] * self.bearing[low + 1]
        found[mirrored] = _mirrored(found[mirrored])
        bearing[mirrored] = bearing[mirrored][:, ::-1]
        return found, bearing


def _between(value: np.ndarray, count: int, *, beyond: bool = False) -> tuple[np.ndarray, np.ndarray]:
    inside = np.clip(value, 0.0, count - 1.0)
    low = np.minimum(inside.astype(int), count - 2)
    return low, (value if beyond else inside) - low


def _mirrored(rows: np.ndarray) -> np.ndarray:
    rows = rows[:, ::-1]
    points = rows[..., :COMMAND_SIZE][..., COMMAND_ORDER] * COMMAND_SIGN
    return np.concatenate([points, -rows[..., COMMAND_SIZE:]], axis=-1)


def seen_from_feet(motion: PlannedMotion) -> np.ndarray:
    """(F, 2, 19) of a motion: see `GaitTable.ahead`."""
    clip = motion.clip
    qpos = np.hstack([clip.root_pos_world, clip.root_quat_wxyz, clip.joint_pos])
    later = np.minimum(np.arange(len(qpos)) + round(LEAD_S * FPS), len(qpos) - 1)
    points = np.concatenate([clip.root_pos_world[:, None], motion.keypoints()], axis=1)[later]
    feet, quat = foot_poses(qpos)
    turn = heading_quat(quat)
    seen = quat_rotate_inverse(turn[:, :, None], points[:, None] - feet[:, :, None])
    yaw = np.unwrap(yaw_from_quat(clip.root_quat_wxyz))[later, None] - np.unwrap(yaw_from_quat(quat), axis=0)
    return np.concatenate([seen.reshape(len(qpos), 2, COMMAND_SIZE), yaw[..., None]], axis=-1)


TABLE_FILES = {
    SLOW_STEP_S: Path(__file__).with_name("gait_table.npz"),
    QUICK_STEP_S: Path(__file__).with_name("gait_table_quick.npz"),
}
"""The tables that come with this package, by time of a step; `vm-train gait_table` plans one anew."""


def write_gait_table(file: Path, step_s: float) -> None:
    """Plans the table of steps of this time (a minute) and writes it."""
    table = _planned_table(step_s)
    arrays = {f.name: np.asarray(getattr(table, f.name), np.float32) for f in fields(table)}
    with atomic_path(file) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **(arrays | {"ahead": table.ahead.astype(np.float16)}))  # type: ignore[arg-type]


@cache
def gait_table(step_s: float = SLOW_STEP_S) -> GaitTable:
    """The table of steps of this time that comes with this package.

    Raises:
        VmError: none does.
    """
    if step_s not in TABLE_FILES:
        raise VmError(f"no gait table of steps of {step_s} s; there are those of {', '.join(map(str, TABLE_FILES))} s")
    with np.load(TABLE_FILES[step_s], allow_pickle=False) as archive:
        found = {name: archive[name].astype(np.float64) for name in archive.files if name != "step_s"}
    return GaitTable(**found, step_s=step_s)


def _planned_table(step_s: float) -> GaitTable:
    rows, gait = [], gait_of(step_s)
    choices = list(product(STYLES, STRIDES_M, TURNS_RAD))
    with Progress("gait table", len(choices), unit="walk") as bar:
        for (arms, load), stride, turn in choices:
            step = step_s / SLOW_STEP_S * np.array([stride, 0.0, turn])
            rows.append(seen_from_feet(planned(steady_plan(step, STEPS, arms, load, gait), "gait table")[0]))
            bar.round_done()
    shape = (len(STYLES), len(STRIDES_M), len(TURNS_RAD))
    clip = common_motion(step_s).clip
    weights = clip.contact / np.maximum(clip.contact.sum(axis=1, keepdims=True), 1.0)
    smooth = [np.convolve(np.pad(side, 4, mode="edge"), np.ones(9) / 9, mode="valid") for side in weights.T]
    stand = np.concatenate([clip.root_pos_world[0], clip.root_quat_wxyz[0], clip.joint_pos[0]])
    ahead = np.stack(rows).reshape(*shape, *rows[0].shape)
    assert clip.joint_target is not None
    return GaitTable(ahead, np.stack(smooth, axis=1), stand, clip.joint_target[0], step_s)


def command_of(rows: np.ndarray, weights: np.ndarray, qpos: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(N, 18) [m] the command that leads robots to where the feet that bear say, in the axes of the pelvis' heading.

    Args:
        rows, weights: of `GaitTable.look_up`.
        qpos: (N, 30) pelvis anywhere, joints as they are.
        points: (N, 5, 3) keypoints of these.
    """
    feet, quat = foot_poses(qpos)
    turn = heading_quat(quat)
    wanted = rows[..., :COMMAND_SIZE].reshape(len(qpos), 2, 6, 3)
    world = feet[:, :, None] + quat_rotate(turn[:, :, None], wanted)
    desired = (weights[:, :, None, None] * world).sum(axis=1)
    root = qpos[:, :3]
    relative = (desired[:, 1:] - desired[:, :1]) - (points - root[:, None])
    vectors = np.concatenate([(desired[:, 0] - root)[:, None], relative], axis=1)
    heading = heading_quat(qpos[:, 3:7])
    return quat_rotate_inverse(heading[:, None], vectors).reshape(len(qpos), COMMAND_SIZE)
