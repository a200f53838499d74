"""Objects slide, roll and fall as their numbers say, whatever the soles' or the floor's friction."""

import copy
from dataclasses import replace

import mujoco
import numpy as np
import pytest

from vm_core import g1
from vm_core.errors import VmError
from vm_core.scene_asset import SceneAsset
from vm_sim import objects
from vm_sim.batch_physics import BatchPhysics
from vm_sim.g1_model import load_g1_spec, stand_qpos
from vm_sim.objects import OBJECT_SCENES, ObjectRanges, ObjectSpec, add_object, vary_object
from vm_sim.terrain import add_scene

G = 9.81
BOX = ObjectSpec("box", (0.4, 0.5, 0.3), 4.0).resting((0.0, 0.0))
BALL = ObjectSpec("ball", (0.22,) * 3, 0.43, 0.8, 0.05).resting((0.0, 0.0))


def world(thing: ObjectSpec, *, slope: float = 0.0, turn: float = 0.0, floor_friction: float = 1.0) -> mujoco.MjModel:
    """The object alone on a floor; a slope is gravity that leans towards +x, turned by `turn` about z."""
    spec = mujoco.MjSpec()
    add_scene(spec, SceneAsset(), friction=floor_friction)
    side = G * np.sin(slope)
    spec.option.gravity = [side * np.cos(turn), side * np.sin(turn), -G * np.cos(slope)]
    spec.option.timestep, spec.option.integrator = 0.002, int(mujoco.mjtIntegrator.mjINT_IMPLICITFAST)
    spec.option.cone, spec.option.iterations = load_g1_spec().option.cone, 10  # the robot's own, without the robot
    body = spec.worldbody.add_body(name=g1.FOOT_BODIES[0], pos=[50.0, 0.0, 5.0])
    body.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[0.01, 0, 0])
    body = spec.worldbody.add_body(name=g1.FOOT_BODIES[1], pos=[50.0, 1.0, 5.0])
    body.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[0.01, 0, 0])
    add_object(spec, thing)
    return spec.compile()


def run(model: mujoco.MjModel, seconds: float, velocity: tuple[float, ...] = ()) -> mujoco.MjData:
    data = mujoco.MjData(model)
    for _ in range(100):  # it settles on a level floor first
        level = model.opt.gravity.copy()
        model.opt.gravity[:] = [0.0, 0.0, -G]
        mujoco.mj_step(model, data)
        model.opt.gravity[:] = level
    data.qvel[:] = 0.0
    data.qvel[: len(velocity)] = velocity
    for _ in range(round(seconds / model.opt.timestep)):
        mujoco.mj_step(model, data)
    return data


@pytest.mark.parametrize("friction", [0.3, 0.5, 1.0, 2.0])
@pytest.mark.parametrize(("floor_friction", "turn"), [(0.1, 0.0), (1.0, np.pi / 4), (3.0, 2.0)])
def test_a_box_slides_at_the_friction_that_was_asked_for(friction, floor_friction, turn):
    """On a slope a little steeper than atan(friction) it slides as it should; a little flatter, it stays."""
    thing = replace(BOX, friction=friction, size=(0.8, 0.8, 0.1)).resting((0.0, 0.0))
    for steeper in (0.05, -0.05):
        slope = np.arctan(friction) + steeper
        data = run(world(thing, slope=slope, turn=turn, floor_friction=floor_friction), 0.5)
        wanted = max(0.5 * G * (np.sin(slope) - friction * np.cos(slope)) * 0.25, 0.0)
        down = data.qpos[0] * np.cos(turn) + data.qpos[1] * np.sin(turn)
        within_4_percent = 0.04 * 0.125 * G * friction * np.cos(slope)
        assert down == pytest.approx(wanted, abs=within_4_percent + 0.003), (friction, steeper)


@pytest.mark.parametrize("rolling", [0.02, 0.05, 0.1])
def test_a_ball_rolls_out_as_far_as_its_resistance_says(rolling):
    speed = 1.0
    thing = replace(BALL, rolling=rolling)
    data = run(world(thing), 13.0, (speed, 0.0, 0.0, 0.0, speed / 0.11, 0.0))
    wanted = speed**2 * (1.0 + 2.0 / 3.0) / (2.0 * rolling * G)
    assert np.hypot(*data.qpos[:2]) == pytest.approx(wanted, rel=0.08)
    assert np.linalg.norm(data.qvel[:3]) < 0.02  # it does stop, all but a creep of soft contacts


def test_a_ball_without_resistance_rolls_on():
    data = run(world(replace(BALL, rolling=0.0)), 5.0, (1.0, 0.0, 0.0, 0.0, 1.0 / 0.11, 0.0))
    assert data.qpos[0] > 4.9


@pytest.mark.parametrize("nominal", [BOX, BALL], ids=["box", "ball"])
def test_a_varied_model_is_the_model_that_would_be_compiled(nominal):
    factor = 1.3
    other = replace(nominal, size=tuple(factor * v for v in nominal.size), mass_kg=7.0, friction=0.4, rolling=0.02)
    other = other.resting((0.5, 0.2), yaw=0.0 if nominal is BALL else 0.7)
    wanted, varied = world(other), copy.copy(world(nominal))
    vary_object(varied, other)
    names = ["geom_size", "geom_rbound", "geom_aabb", "geom_friction", "body_mass", "body_inertia", "body_pos"]
    names += ["body_quat", "body_invweight0", "dof_invweight0", "body_subtreemass", "qpos0", "bvh_aabb", "body_ipos"]
    for name in names:
        np.testing.assert_allclose(getattr(varied, name), getattr(wanted, name), rtol=1e-6, atol=1e-9, err_msg=name)
    with pytest.raises(VmError, match="another shape"):
        vary_object(varied, BALL if nominal is BOX else BOX)


@pytest.mark.parametrize("collision", ["spheres", "full"])
def test_hands_and_feet_touch_the_object_and_the_feet_still_stand(collision):
    """A box in the robot's arms is pushed out, a ball before the toes is met above its lowest point."""
    spec = load_g1_spec(collision=collision, wrists=False)
    add_scene(spec, SceneAsset())
    add_object(spec, BOX.resting((0.3, 0.0), 0.7))
    model = spec.compile()
    data = mujoco.MjData(model)
    data.qpos[:] = stand_qpos(model)
    data.qpos[objects.object_qpos_address(model) :] = BOX.resting((0.33, 0.0), 0.7).start_qpos
    data.qpos[2] -= 0.001
    mujoco.mj_forward(model, data)
    box = model.geom("object").id
    touched = {model.body(model.geom_bodyid[c.geom[1 - list(c.geom).index(box)]]).name
               for c in data.contact if box in c.geom}  # fmt: skip
    assert any("elbow" in name or "wrist" in name for name in touched)
    soles = [c for c in data.contact if c.geom[0] == model.geom("ground").id]
    assert soles and all("_sole" in model.geom(c.geom[1]).name for c in soles)


def test_drawn_objects_stay_in_their_ranges_and_on_their_support():
    rng = np.random.default_rng(0)
    for name, scene in OBJECT_SCENES.items():
        drawn = [scene.ranges.draw(scene.thing, rng) for _ in range(200)]
        low, high = scene.ranges.friction or (scene.thing.friction,) * 2
        assert all(low <= thing.friction <= high for thing in drawn), name
        support = scene.thing.start_pos[2] - 0.5 * scene.thing.size[2]
        assert np.allclose([thing.start_pos[2] - 0.5 * thing.size[2] for thing in drawn], support)
        assert len({thing.mass_kg for thing in drawn}) == 200
    push = OBJECT_SCENES["push_box"]
    assert np.allclose(push.thing.size, (0.762, 1.016, 1.016)) and push.thing.mass_kg == 4.0
    assert push.ranges.friction == (0.5, 2.0)


def test_many_worlds_have_objects_of_their_own():
    """In batched physics the same push moves a light, slippery box further than a heavy, rough one."""
    spec = load_g1_spec(wrists=False)
    add_scene(spec, SceneAsset())
    add_object(spec, BOX.resting((2.0, 0.0)))
    spec.option.timestep = 0.005
    nominal = spec.compile()
    models = [copy.copy(nominal) for _ in range(2)]
    vary_object(models[0], replace(BOX, friction=0.2).resting((2.0, 0.0)))
    vary_object(models[1], replace(BOX, friction=1.5, mass_kg=8.0).resting((2.0, 0.0)))
    physics = BatchPhysics(models, threads=1)
    qpos, qvel = np.tile(stand_qpos(nominal), (2, 1)), np.zeros((2, nominal.nv))
    qpos[:, 30:] = models[0].qpos0[30:]
    qvel[:, objects.object_qvel_address(nominal)] = 1.0
    physics.reset(np.arange(2), qpos, qvel)
    target = np.tile(stand_qpos(nominal)[7:30], (2, 1))
    for _ in range(30):
        physics.step(target, target, np.zeros(2, dtype=int))
    moved = physics.qpos[:, 30] - 2.0
    physics.close()
    assert moved[0] > 0.2 and moved[0] > 3 * moved[1] > 0.0


@pytest.mark.parametrize(
    "wrong",
    [{"shape": "cone"}, {"size": (0.1, 0.2, -0.1)}, {"mass_kg": 0.0}, {"friction": np.nan}, {"rolling": 2.0},
     {"shape": "ball"}],
)  # fmt: skip
def test_impossible_objects_are_named(wrong):
    with pytest.raises(VmError):
        replace(BOX, **wrong)
    with pytest.raises(VmError, match="push_box"):
        objects.find_object_scene("piano")
    with pytest.raises(VmError):
        ObjectRanges(size=1.5)


def test_what_is_held_firmly_does_not_sink():
    """Between two fingers of 12 N; MuJoCo's usual contacts let it sink by 2 mm/s, real friction does not."""
    sunk = []
    for firm in (False, True):
        spec = load_g1_spec(collision="spheres")
        for side in (1.0, -1.0):
            finger = spec.worldbody.add_body(pos=(3.0, 0.29 * side, 1.1))
            finger.add_joint(type=mujoco.mjtJoint.mjJNT_SLIDE, axis=(0.0, 1.0, 0.0), damping=5.0, name=f"finger{side}")
            finger.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=(0.035, 0, 0), mass=1.0, contype=2, conaffinity=2)
        add_object(spec, ObjectSpec("box", (0.38, 0.51, 0.51), 0.5, 0.8, firm=firm, start_pos=(3.0, 0.0, 0.96)))
        model = spec.compile()
        data, at = mujoco.MjData(model), objects.object_qpos_address(model) + 2
        for side in (1.0, -1.0):
            data.joint(f"finger{side}").qfrc_applied = -12.0 * side
        mujoco.mj_step(model, data, 300)
        before = data.qpos[at]
        mujoco.mj_step(model, data, 1000)
        sunk.append(before - data.qpos[at])
    assert sunk[0] > 0.002 and abs(sunk[1]) < 0.0005
