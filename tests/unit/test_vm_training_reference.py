"""Planned climbs: physics agrees with them, or they are refused."""

import numpy as np
import pytest
import vm_training_cases as cases

from vm_core import g1
from vm_core.errors import VmError
from vm_sim.g1_model import joint_addresses
from vm_training.motions import feasibility, whole_body
from vm_training.motions.footsteps import Gait
from vm_training.motions.reference import measured_zmp, plan_reference
from vm_training.motions.route import climb_route
from vm_training.motions.whole_body import reference_model
from vm_training.tasks import climb
from vm_training.tasks.work_folder import WorkFolder


def _rough(scene):
    return plan_reference(scene, climb_route(scene, cases.APPROACH_M), cases.GAIT, corrections=0)


def test_two_steps_are_feasible():
    reference = cases.planned()
    motion = reference.motion
    assert motion.joints_at_limit == ()
    assert motion.foot_error.max() < feasibility.MAX_FOOT_ERROR_M
    assert np.sqrt(np.mean(motion.root_residual**2)) < feasibility.MAX_ROOT_RESIDUAL
    assert reference.zmp_error_m.max() < feasibility.MAX_ZMP_ERROR_M
    _, speeds = joint_addresses(reference_model(), g1.POLICY_JOINT_NAMES)
    limit = g1.TORQUE_LIMIT[[g1.motor_index(name) for name in g1.POLICY_JOINT_NAMES]]
    assert np.all(np.abs(motion.torque[:, speeds - 6]).max(axis=0) < limit)
    speed_limit = g1.VELOCITY_LIMIT[[g1.motor_index(name) for name in g1.POLICY_JOINT_NAMES]]
    assert np.all(np.abs(motion.qvel[:, speeds]).max(axis=0) < speed_limit)


def test_the_default_gait_climbs_three_steps():
    scene = cases.stairs(yaw=-1.2, steps=3)
    reference = plan_reference(scene, climb_route(scene, 0.5), Gait())
    assert reference.motion.joints_at_limit == ()
    assert reference.motion.foot_error.max() < feasibility.MAX_FOOT_ERROR_M
    assert reference.zmp_error_m.max() < feasibility.MAX_ZMP_ERROR_M


def test_the_motion_ends_upright_at_rest_on_top():
    motion, scene = cases.planned().motion, cases.stairs()
    first, last = motion.qpos[0], motion.qpos[-1]
    assert last[2] - first[2] == pytest.approx(0.2, abs=5e-3)  # two steps of 0.1 m
    assert scene.height_at(last[None, :2])[0] == pytest.approx(0.2)
    assert np.abs(motion.qvel[[0, -1]]).max() < 0.06  # rad/s; a short stand does not quite end the sway
    for frame in (first, last):
        tilt = 2.0 * np.arcsin(np.linalg.norm(frame[4:6]))
        assert tilt < 0.05


def test_corrections_take_the_error_off_the_zero_moment_point():
    rough = _rough(cases.stairs())
    fine = cases.planned()
    np.testing.assert_allclose(rough.zmp_world, fine.zmp_world)  # the path that is asked for stays
    assert fine.zmp_error_m[0] < 0.2 * rough.zmp_error_m[0]
    assert fine.zmp_error_m[1] < 0.5 * rough.zmp_error_m[1]


def test_where_the_inverse_kinematics_begin_and_that_they_end_early_changes_nothing(monkeypatch):
    planned = cases.planned()
    feet, heading = planned.feet, np.zeros(len(planned.motion.qpos))
    model, com = reference_model(), planned.motion.com_world
    searched, _ = whole_body.solve_kinematics(model, feet, com, heading)
    near, _ = whole_body.solve_kinematics(model, feet, com, heading, near=planned.motion.qpos)
    monkeypatch.setattr(whole_body, "CONVERGED_RAD", 0.0)
    to_the_end, _ = whole_body.solve_kinematics(model, feet, com, heading)
    np.testing.assert_allclose(searched, to_the_end, atol=2e-5)
    np.testing.assert_allclose(near, to_the_end, atol=2e-5)


def test_the_heading_changes_nothing_but_the_heading():
    """Errors are reported forward and sideways, whatever the compass says."""
    turned = _rough(cases.stairs(yaw=cases.YAW + 2.0))
    rough = _rough(cases.stairs())
    np.testing.assert_allclose(turned.zmp_error_m, rough.zmp_error_m, atol=3e-4)  # the solver ends a little elsewhere
    np.testing.assert_allclose(turned.motion.qpos[:, 7:], rough.motion.qpos[:, 7:], atol=5e-3)


def test_the_zero_moment_point_of_a_stand_is_under_the_centre_of_mass():
    model, motion = reference_model(), cases.planned().motion
    still = type(motion)(
        motion.qpos[:1].repeat(3, axis=0), 0.0 * motion.qvel[:3], motion.com_world, *[np.zeros(3)] * 3, ()
    )
    for ground in (0.0, -0.5):
        zmp = measured_zmp(model, still, np.full(3, ground), 0.02)
        np.testing.assert_allclose(zmp, np.tile(motion.com_world[0, :2], (3, 1)), atol=1e-6)


def test_steps_that_are_too_high_are_refused(tmp_path):
    folder, out = WorkFolder(tmp_path / "work"), tmp_path / "policy.onnx"
    config = climb.ClimbConfig(gait=cases.GAIT, num_envs=1)
    with pytest.raises(VmError, match="no feasible climb of these steps") as refused:
        climb.train_climb(cases.stairs(rise=0.35), config, folder, out, "too_high")
    text = str(refused.value)
    assert "\n" not in text and "joints at their limit: " in text and "knee" in text
    assert not (folder / "clip.npz").exists() and not out.exists()
