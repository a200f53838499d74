"""A planned motion as a clip: names, contacts, and targets that make the planned torques."""

from dataclasses import replace

import numpy as np
import pytest
import vm_training_cases as cases

from vm_core import g1
from vm_core.motion_clip import MotionClip
from vm_training.motions.clip import KD, KP, reference_clip


def test_the_clip_is_the_motion():
    reference, clip = cases.planned(), cases.climb_clip()
    assert clip.joint_names == g1.POLICY_JOINT_NAMES
    assert clip.fps == pytest.approx(50.0)
    np.testing.assert_array_equal(clip.joint_pos, reference.motion.qpos[:, 7:])
    np.testing.assert_array_equal(clip.root_pos_world, reference.motion.qpos[:, :3])
    np.testing.assert_array_equal(clip.root_quat_wxyz, reference.motion.qpos[:, 3:7])
    # the clip's own velocities, which policies see, are those that the torques were computed for
    np.testing.assert_allclose(clip.joint_vel[1:-1], reference.motion.qvel[1:-1, 6:], atol=1e-9)
    np.testing.assert_allclose(clip.root_ang_vel_body[1:-1], reference.motion.qvel[1:-1, 3:6], atol=1e-6)


def test_contacts_are_the_planted_feet():
    reference, clip = cases.planned(), cases.climb_clip()
    assert clip.contact_names == ("left_foot", "right_foot")
    for column, side in enumerate(("left", "right")):
        np.testing.assert_array_equal(clip.contact[:, column] > 0.5, reference.feet.planted[side])
    assert np.all(clip.contact[0] == 1.0) and np.all(clip.contact[-1] == 1.0)
    assert 0.2 < clip.contact.mean() < 1.0


def held_means(at_frames: np.ndarray) -> np.ndarray:
    return 0.5 * (at_frames + np.vstack([at_frames[1:], at_frames[-1:]]))


def test_targets_make_the_planned_torques():
    """kp (target - q) - kd qd is the planned torque, q and qd averaged over the hold as the target is."""
    motion, clip = cases.planned().motion, cases.climb_clip()
    made = KP * (clip.joint_target - held_means(motion.qpos[:, 7:])) - KD * held_means(motion.qvel[:, 6:])
    np.testing.assert_allclose(made, held_means(motion.torque), atol=1e-9)
    # feed-forward is no small thing: a policy without it would have to find these angles
    assert np.abs(clip.joint_target - clip.joint_pos).max() > 0.3


def test_gains_are_the_actuators_of_the_simulated_robot():
    model = cases.tracking(cases.standing_clip(), envs=1).model
    np.testing.assert_allclose(KP, model.actuator_gainprm[:, 0])
    np.testing.assert_allclose(KD, -model.actuator_biasprm[:, 2])


def test_a_motionless_reference_holds_its_own_torque():
    """Without motion there is nothing to average: target = q + tau / kp exactly."""
    reference = cases.planned()
    motion = replace(
        reference.motion,
        qpos=reference.motion.qpos[:1].repeat(4, axis=0),
        qvel=np.zeros((4, 29)),
        torque=np.tile(np.linspace(-20.0, 20.0, 23), (4, 1)),
    )
    feet = replace(reference.feet, planted={side: np.ones(4, dtype=bool) for side in ("left", "right")})
    clip = reference_clip(replace(reference, motion=motion, feet=feet), "still")
    np.testing.assert_allclose((clip.joint_target - clip.joint_pos) * KP, motion.torque, atol=1e-12)


def test_a_saved_clip_is_the_clip(tmp_path):
    clip = cases.climb_clip()
    clip.save(tmp_path / "clip.npz")
    loaded = MotionClip.load(tmp_path / "clip.npz")
    assert loaded.joint_target is not None
    np.testing.assert_array_equal(loaded.joint_target, clip.joint_target)
    np.testing.assert_array_equal(loaded.contact, clip.contact)
    assert (loaded.fps, loaded.joint_names, loaded.source) == (clip.fps, clip.joint_names, "test")
