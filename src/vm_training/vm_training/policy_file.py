"""A policy file run for many robots at once: the network, its contract and the clip that it follows, if any."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from vm_core import g1
from vm_core.errors import VmError
from vm_core.g1_kinematics import torso_pose
from vm_core.motion_clip import MotionClip
from vm_core.observation_terms import TERMS, ReferenceFrame
from vm_core.policy_contract import METADATA_KEY, REFERENCE_KEY, PolicyContract


@dataclass(frozen=True)
class Reference:
    """A clip at the control rate in the policy's joint order, T frames.

    Attributes:
        joint_pos, joint_vel, joint_target: (T, J) [rad], [rad/s], [rad].
        root_pos_world: (T, 3) [m].  root_quat_wxyz: (T, 4).  root_lin_vel_world: (T, 3) [m/s].
        anchor_pos_world, anchor_quat_wxyz: (T, 3) [m], (T, 4) of the body that the contract calls its anchor.
        clip: the clip, resampled.
    """

    joint_pos: np.ndarray
    joint_vel: np.ndarray
    joint_target: np.ndarray
    root_pos_world: np.ndarray
    root_quat_wxyz: np.ndarray
    root_lin_vel_world: np.ndarray
    anchor_pos_world: np.ndarray
    anchor_quat_wxyz: np.ndarray
    clip: MotionClip

    @staticmethod
    def of(clip: MotionClip, contract: PolicyContract) -> Reference:
        """Picks the policy's joints by name.

        Raises:
            VmError: the clip lacks some of them.
        """
        missing = [joint for joint in contract.joint_names if joint not in clip.joint_names]
        if missing:
            raise VmError(f"the policy's clip lacks the joints {', '.join(missing)}")
        clip = clip.resampled(1.0 / contract.control_period_s)
        order = [clip.joint_names.index(joint) for joint in contract.joint_names]
        target = clip.joint_pos if clip.joint_target is None else clip.joint_target
        moving = (clip.joint_pos[:, order], clip.joint_vel[:, order], target[:, order])
        root = (clip.root_pos_world, clip.root_quat_wxyz)
        anchor = root
        if contract.anchor_body == g1.TORSO_BODY:
            waist = [f"waist_{axis}_joint" for axis in ("yaw", "roll", "pitch")]
            lacking = [joint for joint in waist if joint not in clip.joint_names]
            if lacking:
                raise VmError(f"the policy compares the torso, and its clip lacks {', '.join(lacking)}")
            anchor = torso_pose(*root, clip.joint_pos[:, [clip.joint_names.index(joint) for joint in waist]])
        return Reference(*moving, *root, clip.root_lin_vel_world, *anchor, clip)

    def at(self, step: int, count: int) -> ReferenceFrame:
        """The frame of a control step for `count` robots; the last one, at rest, stays after the end."""
        k = min(step, len(self.joint_pos) - 1)
        going = float(step < len(self.joint_pos))
        parts = (
            self.joint_pos[k],
            going * self.joint_vel[k],
            self.root_pos_world[k],
            self.root_quat_wxyz[k],
            going * self.root_lin_vel_world[k],
            np.array(k / max(len(self.joint_pos) - 1, 1)),
            self.joint_target[k],
            self.anchor_pos_world[k],
            self.anchor_quat_wxyz[k],
        )
        return ReferenceFrame(*(np.broadcast_to(part, (count, *part.shape)) for part in parts))


class PolicyFile:
    """An ONNX policy that may be asked for many actions at once.

    Attributes:
        contract: what the file says of itself.
        reference: what it follows, or None.
    """

    def __init__(self, model: onnx.ModelProto, contract: PolicyContract, reference: Reference | None) -> None:
        self.contract, self.reference = contract, reference
        self._batched = _session(_any_batch(model))
        self._single = _session(model)
        self._checked = False

    @staticmethod
    def load(path: Path | str) -> PolicyFile:
        """Reads a policy and replays its golden pair.

        Raises:
            VmError: no such file, no ONNX network, no or another contract, or an action that differs from the golden.
        """
        path = Path(path)
        if not path.is_file():
            raise VmError(f"{path}: no such policy file")
        try:
            model = onnx.load_model_from_string(path.read_bytes())
        except Exception:  # the parser raises its own kinds for anything else
            raise VmError(f"{path.name}: not an ONNX network; expected a policy with a contract") from None
        metadata = {entry.key: entry.value for entry in model.metadata_props}
        if METADATA_KEY not in metadata:
            raise VmError(f"{path.name}: no policy contract in its metadata; vm-export and vm-import-policy write one")
        contract = PolicyContract.from_json(metadata[METADATA_KEY])
        unknown = [term.name for term in contract.observation if term.name not in TERMS]
        if unknown:
            raise VmError(f"{path.name}: unknown observation terms {', '.join(unknown)}")
        if contract.uses_reference and REFERENCE_KEY not in metadata:
            raise VmError(f"{path.name}: the policy follows a clip, but none is embedded")
        reference = None
        if contract.uses_reference:
            clip = MotionClip.load(io.BytesIO(base64.b64decode(metadata[REFERENCE_KEY])))
            reference = Reference.of(clip, contract)
        try:
            policy = PolicyFile(model, contract, reference)
        except Exception as error:
            raise VmError(f"{path.name}: the network does not open ({str(error).splitlines()[0][:120]})") from None
        policy._replay_golden(path.name)
        return policy

    def act(self, observation: np.ndarray) -> np.ndarray:
        """Raw actions (N, J) for observations (N, n)."""
        observation = np.ascontiguousarray(observation, dtype=np.float32)
        if self._batched is None:
            return np.concatenate([_run(self._single, row[None]) for row in observation])
        return _run(self._batched, observation)

    def _replay_golden(self, name: str) -> None:
        golden = self.contract.golden
        if golden is None:
            raise VmError(
                f"{name}: the contract has no golden pair, so nothing proves that this is the trained network"
            )
        seen, wanted = np.array(golden.observation, np.float32), np.array(golden.action)
        try:
            given = _run(self._single, seen[None])[0]
        except Exception as error:
            raise VmError(f"{name}: the network does not run ({str(error).splitlines()[0][:120]})") from None
        if given.shape != wanted.shape or not np.abs(given - wanted).max() <= golden.tolerance:
            raise VmError(f"{name}: the network's action differs from the golden one in its contract")
        try:  # a network exported for one robot may hold that number elsewhere than at its input
            both = _run(self._batched, np.stack([seen, 0.5 * seen, seen]))
            fits = both.shape == (3, len(wanted)) and np.abs(both[[0, 2]] - wanted).max() <= golden.tolerance
        except Exception:
            fits = False
        self._batched = self._batched if fits else None


def _any_batch(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network with an open first dimension."""
    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    opened.graph.ClearField("value_info")
    for node in (*opened.graph.input, *opened.graph.output):
        node.type.tensor_type.shape.dim[0].dim_param = "robots"
    return opened


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession | None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _run(session: onnxruntime.InferenceSession | None, observation: np.ndarray) -> np.ndarray:
    assert session is not None
    name = session.get_inputs()[0].name
    return np.asarray(session.run(None, {name: observation})[0], dtype=np.float64)
