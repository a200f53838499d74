"""Where the robot walks in the height map's benchmark, and how its body moves: scenes and configurations at 500 Hz.

On even ground, slopes and beside kerbs Unitree's velocity policy walks in physics. Stairs are walked kinematically:
planned footsteps, centre of mass and inverse kinematics of vm_training, with the bob of the body and the wobble of the
waist recorded from the physical walk, and swinging arms.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation, RotationSpline
from shared_data import shared

from vm_core import g1
from vm_core.scene_asset import SceneAsset, SceneBox
from vm_policy_node.controller import Controller, ControllerConfig
from vm_policy_node.importers.unitree_rl_lab import import_unitree_rl_lab
from vm_policy_node.onnx_policy import OnnxPolicy
from vm_policy_node.safety import SafetyLimits, State
from vm_sim.g1_model import joint_addresses
from vm_sim.robot import SimulatedG1
from vm_training.motions.center_of_mass import com_from_zmp
from vm_training.motions.footsteps import Gait, plan_steps
from vm_training.motions.route import Route
from vm_training.motions.swing import feet_path
from vm_training.motions.whole_body import reference_model, solve_kinematics
from vm_training.motions.zmp_reference import support_height, zmp_reference

RATE_HZ = 500
STAND_S = 2.5  # of which the first second moves into the stance
WALK_S = 9.0
DOWN_LOW_M = 0.07  # of the centre of mass going down: less stretches the legs, more asks too much of the ankles
APPROACH_M = 1.6
LANDING_M = 3.0
LEAVING_M = 1.2  # of which is walked


@dataclass(frozen=True)
class Walk:
    """A walk whose truth is known.

    Attributes:
        name: of the walk.
        scene: ground and boxes, walls among them.
        qpos: (T, 36) configuration at 500 Hz: pelvis, wxyz, joints in motor order.
        physical: whether physics moved the body; else kinematics.
        grass_m: mean height of grass over the ground that points see and feet do not.
    """

    name: str
    scene: SceneAsset
    qpos: np.ndarray
    physical: bool
    grass_m: float = 0.0


def all_walks(seed: int) -> list[tuple[str, Callable[[], Walk]]]:
    """Names and makers of the walks; the seed varies steps, starts and clutter."""
    rng = np.random.default_rng(seed)
    rise = [float(rng.uniform(*bounds)) for bounds in ((0.14, 0.18), (0.10, 0.14), (0.14, 0.18), (0.10, 0.14))]
    return [
        ("flat", lambda: _walked("flat", SceneAsset(), seed, (0.5, 0.0, 0.0))),
        ("room", lambda: _walked("room", _room(seed), seed, (0.3, 0.0, 0.2))),
        ("kerbs", lambda: _walked("kerbs", _kerbs(seed), seed, (0.45, 0.0, 0.0))),
        ("slope", lambda: _walked("slope", _slope(seed), seed, (0.4, 0.0, 0.0))),
        ("grass", lambda: _walked("grass", _outdoors(seed), seed, (0.5, 0.0, 0.1), grass_m=0.015)),
        ("stairs up", lambda: _climbed("stairs up", rise[0], 0.30, 1.0, seed, walls=False)),
        ("stairs up low", lambda: _climbed("stairs up low", rise[1], 0.33, 1.0, seed, walls=True)),
        ("stairs down", lambda: _climbed("stairs down", rise[2], 0.30, -1.0, seed, walls=True)),
        ("stairs down low", lambda: _climbed("stairs down low", rise[3], 0.33, -1.0, seed, walls=False)),
    ]


def _box(x: tuple[float, float], y: tuple[float, float], z: tuple[float, float], label: str) -> SceneBox:
    low, high = np.array([x[0], y[0], z[0]]), np.array([x[1], y[1], z[1]])
    return SceneBox(tuple(0.5 * (low + high)), tuple(0.5 * (high - low)), 0.0, label)


def _room(seed: int) -> SceneAsset:
    """6 m × 5 m with furniture and thresholds."""
    rng = np.random.default_rng(seed)
    walls = [_box((-2.5, -2.4), (-2.5, 2.5), (0, 2.5), "wall"), _box((3.5, 3.6), (-2.5, 2.5), (0, 2.5), "wall")]
    walls += [_box((-2.5, 3.6), (y, y + 0.1), (0, 2.5), "wall") for y in (-2.5, 2.5)]
    x, y = 1.2 + rng.uniform(-0.1, 0.1), -0.95 + rng.uniform(-0.1, 0.1)
    table, low = _box((x, x + 0.8), (y - 0.5, y), (0, 0.4), "seat"), _box((2.6, 3.3), (1.2, 2.2), (0, 0.12), "step")
    return SceneAsset(boxes=(*walls, table, low))


def _kerbs(seed: int) -> SceneAsset:
    """A lane between two kerbs, houses behind."""
    rise = float(np.random.default_rng(seed).uniform(0.10, 0.15))
    sides = [_box((-3, 9), (0.40, 3.0), (0, rise), "kerb"), _box((-3, 9), (-3.0, -0.45), (0, rise), "kerb")]
    houses = [_box((-3, 1.5), (3.0, 3.2), (0, 4), "wall"), _box((2.5, 9), (3.0, 3.4), (0, 4), "wall")]
    return SceneAsset(boxes=(*sides, *houses, _box((6.5, 7.0), (-3, -1), (0, 3), "wall")))


def _slope(seed: int) -> SceneAsset:
    rng = np.random.default_rng(seed)
    walls = [_box((-3, 9), (y, y + 0.1), (-2, 4), "wall") for y in (-2.5, 2.0)]
    return SceneAsset(
        boxes=(*walls, _box((7, 7.2), (-2, 2), (-2, 4), "wall")), ground=(rng.uniform(0.04, 0.07), 0.02, 0)
    )


def _outdoors(seed: int) -> SceneAsset:
    rng = np.random.default_rng(seed)
    trunks = []
    for _ in range(12):
        angle, radius = rng.uniform(0, 2 * np.pi), rng.uniform(2.5, 8.0)
        x, y, size = 2.0 + radius * np.cos(angle), radius * np.sin(angle), rng.uniform(0.1, 0.2)
        if abs(y) > 1.2 or x > 7.0:
            trunks.append(_box((x - size, x + size), (y - size, y + size), (0, 4), "trunk"))
    return SceneAsset(boxes=tuple(trunks), ground=(0.01, -0.015, 0.0))


# -- physics -----------------------------------------------------------------------------------------------------------


@cache
def _velocity_policy() -> OnnxPolicy:
    with tempfile.TemporaryDirectory(prefix="vm-bench-") as folder:
        out = Path(folder) / "velocity.onnx"
        import_unitree_rl_lab(shared("policies/unitree_g1_velocity")).write(out)
        return OnnxPolicy.load(out)


def hall_walk(seed: int, walk_s: float) -> Walk:
    """Circles in a hall with pillars, for as long as wanted."""
    walls = [_box((x, x + 0.1), (-5, 8.1), (0, 3), "wall") for x in (-6, 6)]
    walls += [_box((-6, 6.1), (y, y + 0.1), (0, 3), "wall") for y in (-5, 8)]
    corners = ((4, 5), (-4, 4), (4, -3), (-3, -3), (-0.5, 6.5))
    pillars = [_box((x, x + 0.3), (y, y + 0.3), (0, 3), "wall") for x, y in corners]
    return _walked("hall", SceneAsset(boxes=(*walls, *pillars)), seed, (0.35, 0.0, 0.3), walk_s=walk_s)


def _walked(
    name: str,
    scene: SceneAsset,
    seed: int,
    command: tuple[float, float, float],
    grass_m: float = 0.0,
    walk_s: float = WALK_S,
) -> Walk:
    robot = SimulatedG1(scene, seed=seed, start_noise=0.5, hang=False)
    limits = SafetyLimits(start_still_s=0.0)  # it stands freely, nobody can wait
    controller = Controller(_velocity_policy(), ControllerConfig(stand_duration_s=1.0), limits)
    qpos = []
    for k in range(round((STAND_S + walk_s) * 50)):
        now = 0.02 * k
        controller.on_low_state(robot.low_state().tobytes(), now)
        controller.command.on_cmd_vel(*(command if now > STAND_S else (0.0, 0.0, 0.0)), now)
        low_cmd = controller.step(now)
        if low_cmd is None:
            controller.request("stand", now)
            low_cmd = controller.step(now)
        assert low_cmd is not None
        robot.command(low_cmd)
        for _ in range(10):
            qpos.append(robot.data.qpos.copy())
            robot.step()
        if controller.at_start_pose(now):
            controller.request("run", now)
        assert controller.machine.state != State.DAMPING, f"{name}: {controller.machine.cause}"
    return Walk(name, scene, np.array(qpos), True, grass_m)


@cache
def _gait_of_physics() -> tuple[np.ndarray, np.ndarray]:
    """Bob (T,) [m] and wobble (T, 3) [rad] of the pelvis in the physical walk, without what is slower than a step."""
    qpos = _walked("flat", SceneAsset(), 0, (0.4, 0.0, 0.0)).qpos[round((STAND_S + 2.0) * RATE_HZ) :]
    turns = Rotation.from_quat(qpos[:, [4, 5, 6, 3]]).as_euler("ZYX")
    turns[:, 0] = np.unwrap(turns[:, 0])
    slow = 0.8 * RATE_HZ
    bob = qpos[:, 2] - gaussian_filter1d(qpos[:, 2], slow)
    return bob, turns - gaussian_filter1d(turns, slow, axis=0)


# -- kinematics --------------------------------------------------------------------------------------------------------


def _stairs(rise: float, tread: float, sign: float, count: int, walls: bool) -> SceneAsset:
    """Steps along x from x = 0, up (1) or down (-1); the start is at z = 0."""
    length = LANDING_M + 1.0
    if sign > 0:
        end = count * tread + length
        boxes = [_box((i * tread, end), (-1, 1), (0, (i + 1) * rise), f"step_{i}") for i in range(count)]
        ground = 0.0
    else:
        ground = -count * rise
        tops = [(-3.0, 0.0, 0.0)] + [(i * tread, (i + 1) * tread, -(i + 1) * rise) for i in range(count - 1)]
        boxes = [
            _box((low, high), (-1, 1), (ground - 0.1, top), f"step_{i}") for i, (low, high, top) in enumerate(tops)
        ]
    if walls:
        boxes += [_box((-3, 7), (y, y + 0.1), (-3, 4), "wall") for y in (-1.1, 1.0)]
        boxes.append(_box((6.5, 6.6), (-1.1, 1.1), (-3, 4), "wall"))
    return SceneAsset(boxes=tuple(boxes), ground=(0.0, 0.0, ground))


def _climbed(name: str, rise: float, tread: float, sign: float, seed: int, walls: bool) -> Walk:
    rng = np.random.default_rng(seed)
    count = 7
    scene = _stairs(rise, tread, sign, count, walls)
    gait = Gait(
        stand_s=STAND_S,
        step_s=float(rng.uniform(0.62, 0.72)),
        double_support_s=0.16,
        stride_m=0.3,
        clearance_m=0.05,
    )
    route = Route((-APPROACH_M, 0.0), 0.0, APPROACH_M + (count - 0.5) * tread + LEAVING_M)
    stances = plan_steps(scene, route, gait)
    dt = 0.02
    times = np.arange(0.0, stances[-1].end_s, dt)
    bob, wobble = (_take(part, times, rng) for part in _gait_of_physics())
    feet = feet_path(stances, times, scene, gait)
    # down: lowered over the standing leg before the other foot reaches for the lower step
    support = support_height(stances, times, gait)
    height = np.full(len(times), gait.com_height_m)
    acceleration = np.gradient(np.gradient(support, dt), dt)
    com_xy = [com_from_zmp(zmp_reference(feet)[:, axis], height, acceleration, dt) for axis in (0, 1)]
    moving = np.clip((times - gait.stand_s) / 0.5, 0.0, 1.0)
    com = np.column_stack([*com_xy, support + gait.com_height_m - (0.01 if sign > 0 else DOWN_LOW_M) + moving * bob])
    model = reference_model()
    qpos, foot_error = solve_kinematics(model, feet, com, np.zeros(len(times)))
    assert foot_error.max() < 0.03, f"{name}: feet off by {foot_error.max():.3f} m"
    full = np.tile(g1.DEFAULT_STAND_POSE, (len(times), 1))
    at, _ = joint_addresses(model, g1.POLICY_JOINT_NAMES)
    full[:, [g1.motor_index(joint) for joint in g1.POLICY_JOINT_NAMES]] = qpos[:, at]
    for joint, turn in zip(("waist_yaw", "waist_pitch", "waist_roll"), wobble.T, strict=True):
        full[:, g1.motor_index(f"{joint}_joint")] += moving * turn
    swing = 0.35 * moving * np.sin(np.pi * times / gait.step_s)
    for side, factor in (("left", 1.0), ("right", -1.0)):
        full[:, g1.motor_index(f"{side}_shoulder_pitch_joint")] += factor * swing
    return Walk(name, scene, _at_500_hz(times, np.hstack([qpos[:, :7], full])), False)


def _take(recorded: np.ndarray, times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A stretch of the recording, at the given times, mirrored at its end."""
    there_and_back = np.concatenate([recorded, recorded[::-1]])
    start = rng.integers(0, len(recorded))
    return there_and_back[(start + np.round(times * RATE_HZ).astype(int)) % len(there_and_back)]


def _at_500_hz(times: np.ndarray, qpos: np.ndarray) -> np.ndarray:
    fine = np.arange(0.0, times[-1], 1.0 / RATE_HZ)
    turns = RotationSpline(times, Rotation.from_quat(qpos[:, [4, 5, 6, 3]]))(fine).as_quat()[:, [3, 0, 1, 2]]
    return np.hstack([CubicSpline(times, qpos[:, :3])(fine), turns, CubicSpline(times, qpos[:, 7:])(fine)])
