"""From the network's output to the 29 motors' targets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vm_core.arrays import array_namespace
from vm_core.errors import VmError
from vm_core.frames import Array
from vm_core.g1 import NUM_MOTORS, motor_index
from vm_core.policy_contract import PolicyContract


@dataclass
class MotorTargets:
    """Targets in motor order, each (29,): position [rad], kp [Nm/rad], kd [Nm s/rad]."""

    position: np.ndarray
    kp: np.ndarray
    kd: np.ndarray


def joint_target_from_action(action: Array, contract: PolicyContract, reference_target: Array | None = None) -> Array:
    """PD targets (..., J) [rad] in policy order for raw actions (..., J).

    Args:
        action: the network's raw output.
        contract: scales, clips and base.
        reference_target: (..., J) the clip's PD target [rad]; needed when the contract's base is reference_target.

    Raises:
        VmError: the contract acts around a reference and none is given.
    """
    xp = array_namespace(action)
    if contract.action_clip is not None:
        action = action.clip(-contract.action_clip, contract.action_clip)
    offset = action * xp.asarray(contract.action_scale, dtype=action.dtype)
    if contract.action_base == "default_pose":
        target = xp.asarray(contract.default_joint_pos, dtype=action.dtype) + offset
    elif reference_target is None:
        raise VmError(f"policy {contract.name!r} acts around a reference clip and none is loaded")
    else:
        target = reference_target + offset
    if contract.joint_target_clip is None:
        return target
    bounds = xp.asarray(contract.joint_target_clip, dtype=action.dtype)
    return target.clip(bounds[:, 0], bounds[:, 1])


class MotorExpansion:
    """From a policy's joints to all 29 motors: the contract's held joints and gains are looked up once."""

    def __init__(self, contract: PolicyContract) -> None:
        self._moved = np.array(contract.motor_indices())
        self._held, self._kp, self._kd = (np.zeros(NUM_MOTORS) for _ in range(3))
        self._kp[self._moved], self._kd[self._moved] = contract.kp, contract.kd
        for name, (position, kp, kd) in contract.held_joints.items():
            index = motor_index(name)
            self._held[index], self._kp[index], self._kd[index] = position, kp, kd
        for shared in (self._kp, self._kd):
            shared.flags.writeable = False

    def targets(self, joint_target: np.ndarray) -> MotorTargets:
        """All motors' targets from the policy joints' (J,) [rad]; the gains are the same arrays each time."""
        position = self._held.copy()
        position[self._moved] = joint_target
        return MotorTargets(position, self._kp, self._kd)


def expand_to_motors(joint_target: np.ndarray, contract: PolicyContract) -> MotorTargets:
    """All 29 motors' targets from the policy joints' targets (J,) and the contract's held joints."""
    return MotorExpansion(contract).targets(joint_target)
