"""A policy file that has proved itself: readable, for this robot, giving the very actions it was exported with."""

from __future__ import annotations

import base64
import binascii
import io
import os
from pathlib import Path

import numpy as np
import onnxruntime

from vm_core.errors import VmError
from vm_core.motion_clip import MotionClip
from vm_core.observation_terms import COMMAND_TERMS, TERMS
from vm_core.policy_contract import METADATA_KEY, REFERENCE_KEY, PolicyContract
from vm_policy_node.reference import Reference

MAX_FILE_BYTES = 512 * 2**20
_PICKLE_OPENING = b"\x80"
_ZIP_OPENING = b"PK\x03\x04"  # torch.save and TorchScript are zips with pickles inside


class OnnxPolicy:
    """The network, its contract and its reference clip.

    Attributes:
        contract: what the file says of itself, checked against this robot.
        clip: the embedded reference clip, or None.
        reference: the same at the control rate in the policy's joint order.
        name: for people and logs.
    """

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        contract: PolicyContract,
        clip: MotionClip | None = None,
        file_name: str = "policy",
    ) -> None:
        self._session = session
        self._input = session.get_inputs()[0].name
        self._output = session.get_outputs()[0].name
        self.contract = contract
        self.clip = clip
        self.reference = None if clip is None else Reference.from_clip(clip, contract, file_name)
        self.name = contract.name

    @staticmethod
    def load(path: Path | str, *, commanded: bool = False) -> OnnxPolicy:
        """Reads, checks and replays a policy file.

        Args:
            path: of the file.
            commanded: a generator gives it keypoint commands; without one, a policy that reads them cannot run.

        Raises:
            VmError: missing or damaged file, a pickle, no contract, another robot, shapes that differ from the
                contract, unknown terms, or an action that differs from the golden one.
        """
        path = Path(path)
        session = open_session(read_policy_bytes(path), path.name)
        metadata = read_metadata(session, path.name)
        contract = _contract(metadata, path.name)
        _check_terms(contract, path.name, commanded)
        _check_shapes(session, contract, path.name)
        clip = _read_clip(metadata, path.name)
        if clip is None and contract.uses_reference:
            raise VmError(f"{path.name}: the policy follows a reference clip, but none is embedded ({REFERENCE_KEY!r})")
        policy = OnnxPolicy(session, contract, clip, path.name)
        policy._replay_golden(path.name)
        return policy

    def following(self, clip: MotionClip) -> OnnxPolicy:
        """The same network with another reference clip.

        Raises:
            VmError: the policy follows none, or the clip lacks what it reads.
        """
        if not self.contract.uses_reference:
            raise VmError(f"{self.name} follows no clip; leave the reference away")
        return OnnxPolicy(self._session, self.contract, clip, "reference")

    def act(self, observation: np.ndarray) -> np.ndarray:
        """Raw action (J,) for one observation (N,)."""
        feed = {self._input: np.asarray(observation, dtype=np.float32)[None]}
        return np.asarray(self._session.run([self._output], feed)[0], dtype=np.float64)[0]

    def _replay_golden(self, name: str) -> None:
        golden = self.contract.golden
        if golden is None:
            raise VmError(
                f"{name}: the contract has no golden pair, so nothing proves that this is the trained network"
            )
        if len(golden.observation) != self.contract.observation_size or len(golden.action) != len(
            self.contract.joint_names
        ):
            raise VmError(
                f"{name}: golden pair of {len(golden.observation)} → {len(golden.action)} numbers; "
                f"expected {self.contract.observation_size} → {len(self.contract.joint_names)}"
            )
        try:
            action, wanted = self.act(np.array(golden.observation)), np.array(golden.action)
        except Exception as error:  # a damaged graph may open and still not run
            raise VmError(f"{name}: the network does not run ({str(error).splitlines()[0][:120]})") from None
        if action.shape != wanted.shape:
            raise VmError(f"{name}: the network gives {action.shape} numbers; expected {wanted.shape}")
        difference = np.abs(action - wanted)
        worst = int(np.argmax(np.where(np.isfinite(difference), difference, np.inf)))
        if not difference[worst] <= golden.tolerance:
            raise VmError(
                f"{name}: golden pair differs, {self.contract.joint_names[worst]} gives {action[worst]:.6g}, "
                f"expected {wanted[worst]:.6g} ± {golden.tolerance:g}"
            )


def read_contract(path: Path) -> PolicyContract:
    """What a policy file says of itself, without a replay.

    Raises:
        VmError: missing or damaged file, a pickle, no contract, another robot.
    """
    return _contract(read_metadata(open_session(read_policy_bytes(path), path.name), path.name), path.name)


def _contract(metadata: dict[str, str], file_name: str) -> PolicyContract:
    if METADATA_KEY not in metadata:
        raise VmError(
            f"{file_name}: no policy contract in the metadata (key {METADATA_KEY!r}); for a policy of "
            "unitree_rl_lab run `vm-import-policy unitree_rl_lab DIR --out policy.onnx`"
        )
    try:
        return PolicyContract.from_json(metadata[METADATA_KEY])
    except VmError as error:
        raise VmError(f"{file_name}: {error}") from None


def read_policy_bytes(path: Path) -> bytes:
    """The file, unless it is missing, huge or could run code."""
    if not path.is_file():
        raise VmError(f"{path}: no such policy file")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise VmError(f"{path.name}: {path.stat().st_size >> 20} MB; expected an ONNX policy below 512 MB")
    data = path.read_bytes()
    if data.startswith((_PICKLE_OPENING, _ZIP_OPENING)):
        raise VmError(f"{path.name}: a pickle or PyTorch file, which can run code; expected ONNX with a contract")
    return data


def open_session(data: bytes, name: str, inputs: tuple[str, ...] = ()) -> onnxruntime.InferenceSession:
    """One-threaded session over a network with these inputs, or a single one of any name; VmError for anything else."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # a network of this size is slower on two threads, and the jitter is worse
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # weights outside the file would be read from wherever it says; a folder that is none refuses all of them
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    try:
        # without its fallback, which prints and tries the same again
        session = onnxruntime.InferenceSession(data, options, ["CPUExecutionProvider"], enable_fallback=0)
    except Exception as error:  # onnxruntime raises many kinds for damaged files
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise VmError(f"{name}: damaged or not an ONNX network ({len(data)} bytes; {reason})") from None
    found = tuple(node.name for node in session.get_inputs())
    if inputs and set(found) != set(inputs):
        raise VmError(f"{name}: network has the inputs {', '.join(found)}; expected {', '.join(inputs)}")
    if (len(found) != 1 and not inputs) or not session.get_outputs():
        raise VmError(f"{name}: network has {len(session.get_inputs())} inputs; expected one, the observation")
    return session


def read_metadata(session: onnxruntime.InferenceSession, name: str) -> dict[str, str]:
    """What the file says of itself; VmError for what is no text."""
    try:
        return session.get_modelmeta().custom_metadata_map
    except UnicodeDecodeError:
        raise VmError(f"{name}: damaged metadata (not UTF-8); expected a policy contract in it") from None


def _check_terms(contract: PolicyContract, name: str, commanded: bool) -> None:
    unknown = [term.name for term in contract.observation if term.name not in TERMS]
    if unknown:
        raise VmError(f"{name}: unknown observation terms {', '.join(unknown)}; there are {', '.join(sorted(TERMS))}")
    lost = [term.name for term in contract.observation if term.name in COMMAND_TERMS]
    if lost and not commanded:
        raise VmError(
            f"{name}: reads {', '.join(lost)}, which a generator gives; load the folder that holds both networks"
        )


def _check_shapes(session: onnxruntime.InferenceSession, contract: PolicyContract, name: str) -> None:
    sides = (
        ("observation", session.get_inputs()[0], contract.observation_size),
        ("action", session.get_outputs()[0], len(contract.joint_names)),
    )
    for what, node, size in sides:
        if len(node.shape) != 2 or node.shape[1] != size or node.type != "tensor(float)":
            raise VmError(
                f"{name}: {what} {node.name!r} is {node.type} {node.shape}; the contract says tensor(float) [1, {size}]"
            )


def _read_clip(metadata: dict[str, str], name: str) -> MotionClip | None:
    if REFERENCE_KEY not in metadata:
        return None
    try:
        data = base64.b64decode(metadata[REFERENCE_KEY], validate=True)
    except (binascii.Error, ValueError):
        raise VmError(f"{name}: the embedded reference clip is not base64") from None
    return MotionClip.load(io.BytesIO(data))
