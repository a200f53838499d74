"""The clip that a tracking policy follows, as arrays at the control rate in the policy's joint order."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vm_core import frames, g1
from vm_core.errors import VmError
from vm_core.g1_kinematics import torso_pose
from vm_core.motion_clip import MotionClip
from vm_core.observation_terms import ReferenceFrame
from vm_core.policy_contract import PolicyContract


@dataclass(frozen=True)
class Reference:
    """T frames, one a control period; joints in policy order, world = the frame of the odometry.

    Attributes:
        joint_pos, joint_vel, joint_target: (T, J) [rad, rad/s, rad].
        root_pos_world: (T, 3) [m].  root_quat_wxyz: (T, 4).  root_lin_vel_world: (T, 3) [m/s].
        waist: (T, 3) yaw, roll and pitch [rad], where the policy's anchor is the torso; or None.
    """

    joint_pos: np.ndarray
    joint_vel: np.ndarray
    joint_target: np.ndarray
    root_pos_world: np.ndarray
    root_quat_wxyz: np.ndarray
    root_lin_vel_world: np.ndarray
    waist: np.ndarray | None = None

    @staticmethod
    def from_clip(clip: MotionClip, contract: PolicyContract, name: str = "policy") -> Reference:
        """Picks the policy's joints by name and resamples to the control rate.

        Raises:
            VmError: the clip lacks a joint of the policy, or has no PD target where the policy acts around one.
        """
        missing = [joint for joint in contract.joint_names if joint not in clip.joint_names]
        if missing:
            raise VmError(f"{name}: the reference clip lacks the joints {', '.join(missing)}")
        if contract.action_base == "reference_target" and clip.joint_target is None:
            raise VmError(f"{name}: the policy acts around the clip's joint_target, and the clip has none")
        rate = 1.0 / contract.control_period_s
        clip = clip if abs(clip.fps - rate) < 1e-9 else clip.resampled(rate)
        order = [clip.joint_names.index(joint) for joint in contract.joint_names]
        target = clip.joint_pos if clip.joint_target is None else clip.joint_target
        return Reference(
            clip.joint_pos[:, order],
            clip.joint_vel[:, order],
            target[:, order],
            clip.root_pos_world,
            clip.root_quat_wxyz,
            clip.root_lin_vel_world,
            _waist_of(clip, name) if contract.anchor_body == g1.TORSO_BODY else None,
        )

    @property
    def num_frames(self) -> int:
        return len(self.joint_pos)

    def at(self, step: int) -> ReferenceFrame:
        """The frame of a control step; the last one stays after the end."""
        k = min(max(step, 0), self.num_frames - 1)
        ended = step >= self.num_frames
        anchor_pos, anchor_quat = self._anchor(k)
        return ReferenceFrame(
            joint_pos=self.joint_pos[k],
            joint_vel=0.0 * self.joint_vel[k] if ended else self.joint_vel[k],
            root_pos_world=self.root_pos_world[k],
            root_quat_wxyz=self.root_quat_wxyz[k],
            root_lin_vel_world=0.0 * self.root_lin_vel_world[k] if ended else self.root_lin_vel_world[k],
            phase=np.array(k / max(self.num_frames - 1, 1)),
            joint_target=self.joint_target[k],
            anchor_pos_world=anchor_pos,
            anchor_quat_wxyz=anchor_quat,
        )

    def _anchor(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The anchor's pose in frame k: the torso's if the policy asks for it, else the pelvis'."""
        pos, quat = self.root_pos_world[k], self.root_quat_wxyz[k]
        if self.waist is None:
            return pos, quat
        torso_pos, torso_quat = torso_pose(pos[None], quat[None], self.waist[k : k + 1])
        return torso_pos[0], torso_quat[0]

    def placed_at(self, root_pos_world: np.ndarray, root_quat_wxyz: np.ndarray) -> Reference:
        """The same motion turned (about z) and moved so that its first frame lies at the given pelvis pose."""
        turn = frames.quat_multiply(
            frames.heading_quat(root_quat_wxyz), frames.quat_conjugate(frames.heading_quat(self.root_quat_wxyz[0]))
        )
        moved = frames.quat_rotate(turn[None], self.root_pos_world - self.root_pos_world[0]) + root_pos_world
        return replace(
            self,
            root_pos_world=moved,
            root_quat_wxyz=frames.quat_multiply(np.broadcast_to(turn, self.root_quat_wxyz.shape), self.root_quat_wxyz),
            root_lin_vel_world=frames.quat_rotate(turn[None], self.root_lin_vel_world),
        )


def _waist_of(clip: MotionClip, name: str) -> np.ndarray:
    """(T, 3) angles of waist yaw, roll and pitch [rad]; VmError where the clip lacks one."""
    joints = [f"waist_{axis}_joint" for axis in ("yaw", "roll", "pitch")]
    missing = [joint for joint in joints if joint not in clip.joint_names]
    if missing:
        raise VmError(f"{name}: the policy compares the torso, and the reference clip lacks {', '.join(missing)}")
    return clip.joint_pos[:, [clip.joint_names.index(joint) for joint in joints]]
