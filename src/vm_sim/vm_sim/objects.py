"""Things that the robot pushes, kicks and lifts: boxes and balls with size, mass, friction and rolling resistance."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import mujoco
import numpy as np

from vm_core import g1
from vm_core.errors import VmError
from vm_core.frames import quat_from_yaw
from vm_core.scene_asset import SceneBox

OBJECT_BODY = "object"
OBJECT_GEOM = "object"
_ROBOT_TOUCHES = 2  # contact bit of body parts that touch objects and nothing else
_PRIORITY = 2  # above the soles' 1: MuJoCo takes friction and dimensions of a contact from the higher one alone
_TORSION_M = 0.005
_FIRM_ITERATIONS = 5  # of MuJoCo's solver that takes the slip out again; a harder friction cone made it worse
_BOX_CONDIM, _BALL_CONDIM = 3, 6
OBJECT_COLOR = (0.80, 0.52, 0.25, 1.0)
_SHOE_RADIUS_M = 0.03
_SHOE_ENDS = ((-0.03, -0.005), (0.108, -0.005))  # x and z of the axis in the ankle roll link [m]
_SHOE_Y_M = 0.015
_SHAPES = {"box": mujoco.mjtGeom.mjGEOM_BOX, "ball": mujoco.mjtGeom.mjGEOM_SPHERE}
_INCH = 0.0254


@dataclass(frozen=True)
class ObjectSpec:
    """One movable object.

    Attributes:
        shape: box (solid) or ball (a shell, as footballs are).
        size: full extent along x, y, z [m]; a ball's diameter three times.
        mass_kg: of all of it.
        friction: sliding friction against floor, robot and whatever else it touches.
        rolling: rolling resistance, as a share of the weight on it; a ball from speed v stops after
            v² (1 + 2/3) / (2 rolling g).
        firm: whether it stays where it is held: between palms MuJoCo's usual contacts let it sink by 2 mm/s and more,
            which real friction does not; costs solver time.
        start_pos: (3,) centre at the start in the world [m].
        start_yaw: at the start [rad].
    """

    shape: str
    size: tuple[float, float, float]
    mass_kg: float
    friction: float = 1.0
    rolling: float = 0.0
    firm: bool = False
    start_pos: tuple[float, float, float] = (1.0, 0.0, 0.5)
    start_yaw: float = 0.0

    def __post_init__(self) -> None:
        if self.shape not in _SHAPES:
            raise VmError(f"object of shape {self.shape!r}; there are {', '.join(_SHAPES)}")
        if self.shape == "ball" and len(set(self.size)) > 1:
            raise VmError(f"ball of size {self.size}; expected its diameter three times")
        numbers = (*self.size, self.mass_kg, self.friction, self.rolling, *self.start_pos, self.start_yaw)
        if not all(math.isfinite(value) for value in numbers) or min(*self.size, self.mass_kg) <= 0.0:
            raise VmError(f"object {self.size} m, {self.mass_kg} kg at {self.start_pos}; expected finite, above 0")
        if not (0.0 <= self.friction <= 5.0 and 0.0 <= self.rolling <= 1.0):
            raise VmError(f"object's friction {self.friction}, rolling {self.rolling}; expected 0 to 5 and 0 to 1")

    @property
    def half_size(self) -> np.ndarray:
        """(3,) half extents of a box, or the radius three times [m]."""
        return 0.5 * np.array(self.size)

    @property
    def start_qpos(self) -> np.ndarray:
        """(7,) position and quaternion at the start."""
        return np.concatenate([self.start_pos, quat_from_yaw(np.array(self.start_yaw))])

    def resting(self, xy: tuple[float, float], support_z: float = 0.0, yaw: float = 0.0) -> ObjectSpec:
        """The same on a surface of height support_z [m]."""
        return replace(self, start_pos=(*xy, support_z + 0.5 * self.size[2]), start_yaw=yaw)


@dataclass(frozen=True)
class ObjectRanges:
    """How an object differs from world to world; uniform, zero half-widths for none.

    Attributes:
        size: half-width of a factor on all lengths.
        mass: least and largest factor on the mass.
        friction: least and largest sliding friction; None: as it is.
        rolling: least and largest rolling resistance; None: as it is.
        xy_m: half-widths of the start's x and y.
        yaw_rad: half-width of the start's yaw.
    """

    size: float = 0.0
    mass: tuple[float, float] = (1.0, 1.0)
    friction: tuple[float, float] | None = None
    rolling: tuple[float, float] | None = None
    xy_m: tuple[float, float] = (0.0, 0.0)
    yaw_rad: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.size < 1.0 or not 0.0 < self.mass[0] <= self.mass[1] or min(*self.xy_m, self.yaw_rad) < 0.0:
            raise VmError(f"{self}: expected sizes below 1, masses above 0 and rising, nothing negative")

    def draw(self, nominal: ObjectSpec, rng: np.random.Generator) -> ObjectSpec:
        """One object of the ranges; it stands on what the nominal one stands on."""
        factor = 1.0 + rng.uniform(-self.size, self.size)
        x, y = (value + rng.uniform(-reach, reach) for value, reach in zip(nominal.start_pos, self.xy_m, strict=False))
        size = (factor * nominal.size[0], factor * nominal.size[1], factor * nominal.size[2])
        drawn = replace(
            nominal,
            size=size,
            mass_kg=nominal.mass_kg * rng.uniform(*self.mass),
            friction=nominal.friction if self.friction is None else rng.uniform(*self.friction),
            rolling=nominal.rolling if self.rolling is None else rng.uniform(*self.rolling),
        )
        yaw = nominal.start_yaw + rng.uniform(-self.yaw_rad, self.yaw_rad)
        return drawn.resting((x, y), nominal.start_pos[2] - 0.5 * nominal.size[2], yaw)


@dataclass(frozen=True)
class ObjectScene:
    """What a task puts before the robot.

    Attributes:
        thing: the nominal object.
        ranges: how it varies.
        furniture: boxes that stand still, for the scene.
    """

    thing: ObjectSpec
    ranges: ObjectRanges = field(default_factory=ObjectRanges)
    furniture: tuple[SceneBox, ...] = ()


def _inches(*values: float) -> tuple[float, float, float]:
    x, y, z = (_INCH * value for value in values)
    return x, y, z


_BIG_BOX = ObjectSpec("box", _inches(30, 40, 40), 4.0, 1.0)
_SMALL_BOX = ObjectSpec("box", _inches(15, 20, 20), 0.5, 0.8)
_FOOTBALL = ObjectSpec("ball", (0.22, 0.22, 0.22), 0.43, 0.8, 0.03)
_CUBE = ObjectSpec("box", _inches(8, 8, 8), 0.5, 0.5)
_TABLE = SceneBox((0.72, 0.0, 0.36), (0.35, 0.6, 0.36), 0.0, "table")
_PUSHED = ObjectRanges(0.1, (0.6, 1.5), (0.5, 2.0), None, (0.15, 0.3), 0.2)
_KICKED = ObjectRanges(0.15, (0.6, 1.6), (0.4, 1.2), None, (0.15, 0.2), 0.3)
_ROLLED = ObjectRanges(0.08, (0.8, 1.3), (0.5, 1.2), (0.01, 0.08), (0.15, 0.2), math.pi)
OBJECT_SCENES: dict[str, ObjectScene] = {
    "push_box": ObjectScene(_BIG_BOX.resting((1.0, 0.0)), _PUSHED),
    "kick_box": ObjectScene(_SMALL_BOX.resting((0.75, 0.0)), _KICKED),
    "lift_box": ObjectScene(replace(_SMALL_BOX, firm=True).resting((0.7, 0.0)), replace(_KICKED, size=0.1,
                            xy_m=(0.08, 0.08))),
    "kick_ball": ObjectScene(_FOOTBALL.resting((0.75, 0.0)), _ROLLED),
    "large_kick": ObjectScene(_SMALL_BOX.resting((0.75, 0.0)), _KICKED),
    "balance_ball": ObjectScene(_FOOTBALL.resting((0.35, -0.1)), replace(_ROLLED, xy_m=(0.05, 0.05))),
    "push_cube": ObjectScene(_CUBE.resting((0.55, 0.0), 0.72), replace(_PUSHED, friction=(0.3, 0.8), xy_m=(0.08, 0.2)),
                             (_TABLE,)),
    "reach_box": ObjectScene(_BIG_BOX.resting((4.0, 0.0)), replace(_PUSHED, xy_m=(1.0, 1.0))),
}  # fmt: skip
"""The objects of the tasks, sizes and masses as in VisualMimic (arXiv 2509.20322), the ranges our own."""


def find_object_scene(name: str) -> ObjectScene:
    """A task's object.

    Raises:
        VmError: no task of this name has one.
    """
    if name not in OBJECT_SCENES:
        raise VmError(f"object {name!r}; there are {', '.join(OBJECT_SCENES)}")
    return OBJECT_SCENES[name]


def add_object(spec: mujoco.MjSpec, thing: ObjectSpec) -> None:
    """Adds the object with a free joint as the last body, and lets every part of the robot touch it.

    Parts that touch nothing else (`load_g1_spec(collision="spheres")`) touch the object from now on, and each foot gets
    two capsules that meet objects only: the soles' spheres alone would kick below a ball. Friction cones become
    elliptic: MuJoCo's pyramids give 0.7 of the friction along their diagonals, and a sixth less rolling resistance.
    """
    spec.option.cone = int(mujoco.mjtCone.mjCONE_ELLIPTIC)
    if thing.firm:
        spec.option.noslip_iterations = _FIRM_ITERATIONS
    for geom in list(spec.geoms):
        if geom.name.endswith("_collision") and not geom.contype and not geom.conaffinity:
            geom.conaffinity = _ROBOT_TOUCHES
    for body in g1.FOOT_BODIES:
        for i, y in enumerate((_SHOE_Y_M, -_SHOE_Y_M)):
            ends = [value for x, z in _SHOE_ENDS for value in (x, y, z)]
            spec.body(body).add_geom(
                name=f"{body}_shoe{i}", type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=ends, size=[_SHOE_RADIUS_M, 0, 0],
                mass=0.0, contype=0, conaffinity=_ROBOT_TOUCHES, condim=3, group=3,
            )  # fmt: skip
    start = thing.start_qpos
    body = spec.worldbody.add_body(name=OBJECT_BODY, pos=start[:3], quat=start[3:])
    body.add_freejoint(name=OBJECT_BODY)
    ball = thing.shape == "ball"
    body.add_geom(
        name=OBJECT_GEOM,
        type=_SHAPES[thing.shape],
        size=thing.half_size,
        mass=thing.mass_kg,
        friction=_friction(thing),
        condim=_BALL_CONDIM if ball else _BOX_CONDIM,
        typeinertia=mujoco.mjtGeomInertia.mjINERTIA_SHELL if ball else mujoco.mjtGeomInertia.mjINERTIA_VOLUME,
        priority=_PRIORITY,
        contype=1 | _ROBOT_TOUCHES,
        conaffinity=1,
        rgba=OBJECT_COLOR,
        group=2,
    )


def vary_object(model: mujoco.MjModel, thing: ObjectSpec) -> None:
    """Gives the object of a compiled model another size, mass, friction, rolling resistance and start.

    Raises:
        VmError: another shape than it was compiled with.
    """
    geom, body = model.geom(OBJECT_GEOM).id, model.body(OBJECT_BODY).id
    if int(model.geom_type[geom]) != int(_SHAPES[thing.shape]):
        raise VmError(f"a model compiled with another shape cannot become a {thing.shape}")
    half = thing.half_size
    model.geom_size[geom] = half
    model.geom_rbound[geom] = np.linalg.norm(half) if thing.shape == "box" else half[0]
    model.geom_aabb[geom, 3:] = half
    model.bvh_aabb[model.body_bvhadr[body], 3:] = half
    model.geom_friction[geom] = _friction(thing)
    model.body_mass[body] = thing.mass_kg
    model.body_inertia[body] = _inertia(thing)
    model.body_pos[body], model.body_quat[body] = thing.start_qpos[:3], thing.start_qpos[3:]
    address = object_qpos_address(model)
    model.qpos0[address : address + 7] = thing.start_qpos
    mujoco.mj_setConst(model, mujoco.MjData(model))


def object_qpos_address(model: mujoco.MjModel) -> int:
    """Where the object's 7 numbers begin in qpos; its 6 in qvel begin at `object_qvel_address`."""
    return int(model.joint(OBJECT_BODY).qposadr[0])


def object_qvel_address(model: mujoco.MjModel) -> int:
    """Where the object's linear (world) and angular (body) velocity begin in qvel."""
    return int(model.joint(OBJECT_BODY).dofadr[0])


def _friction(thing: ObjectSpec) -> list[float]:
    """Sliding, torsional [m], rolling [m]; MuJoCo's rolling friction is a lever arm."""
    return [thing.friction, _TORSION_M, thing.rolling * float(thing.half_size[0])]


def _inertia(thing: ObjectSpec) -> np.ndarray:
    if thing.shape == "ball":
        return np.full(3, 2.0 / 3.0 * thing.mass_kg * thing.half_size[0] ** 2)
    squares = np.square(thing.size)
    return thing.mass_kg / 12.0 * (squares.sum() - squares)
