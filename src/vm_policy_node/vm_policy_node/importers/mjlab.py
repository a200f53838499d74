"""mjlab's velocity and motion-tracking policies. Their linear velocity is that of the IMU's site, not of the pelvis."""

from __future__ import annotations

from pathlib import Path

from vm_core.errors import VmError
from vm_policy_node.importers.fields import DAMAGE
from vm_policy_node.importers.imported import Imported, read_model
from vm_policy_node.importers.onnx_metadata import Dialect, Limits, import_with_metadata
from vm_policy_node.onnx_policy import read_policy_bytes

MJLAB = Dialect(
    "mjlab",
    {
        "base_lin_vel": "imu_lin_vel",
        "base_ang_vel": "base_ang_vel",
        "projected_gravity": "projected_gravity",
        "joint_pos": "joint_pos_rel",
        "joint_vel": "joint_vel_rel",
        "actions": "last_action",
        "motion_anchor_pos_b": "ref_anchor_pos",
        "motion_anchor_ori_b": "ref_anchor_ori",
    },
    {"twist": "velocity_commands", "motion": "ref_joint_state"},
)
BEYONDMIMIC = Dialect(
    "BeyondMimic",
    {**MJLAB.term_names, "base_lin_vel": "base_lin_vel"},
    {"motion": "ref_joint_state"},
)


def import_metadata_policy(path: Path, dialect: Dialect, name: str, period_s: float, limits: Limits) -> Imported:
    """Reads an ONNX file of mjlab or BeyondMimic.

    Raises:
        VmError: not such a file; what cannot be mapped is named.
    """
    model = read_model(read_policy_bytes(path), path.name)
    try:
        return import_with_metadata(model, dialect, name or path.stem, period_s, limits)
    except VmError as error:
        raise VmError(f"{path.name}: {error}") from None
    except DAMAGE as error:
        raise VmError(f"{path.name}: metadata are incomplete or damaged ({type(error).__name__}: {error})") from None
