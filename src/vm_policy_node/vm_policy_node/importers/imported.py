"""What an importer hands over, and the policy file that becomes of it: proved once as the node will prove it."""

from __future__ import annotations

import base64
import hashlib
import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx

from vm_core.atomic_files import atomic_path
from vm_core.errors import VmError
from vm_core.motion_clip import MotionClip
from vm_core.policy_contract import METADATA_KEY, REFERENCE_KEY, GoldenPair, PolicyContract
from vm_policy_node.onnx_policy import OnnxPolicy, open_session

_GOLDEN_SEED = 0


@dataclass(frozen=True)
class Imported:
    """A policy in our terms.

    Attributes:
        network: ONNX with the observation as its only input and the action as its first output.
        contract: without its golden pair.
        clip: the motion that it follows, or None.
    """

    network: bytes
    contract: PolicyContract
    clip: MotionClip | None = None

    def write(self, out: Path) -> PolicyContract:
        """Writes the policy file and loads it as the node will; returns its contract.

        Raises:
            VmError: sizes of network and contract differ, or the network does not run.
        """
        training = self.contract.training | {"network_sha256": hashlib.sha256(self.network).hexdigest()}
        contract = replace(self.contract, training=training)
        contract = replace(contract, golden=_record_golden(self.network, contract, self.clip))
        properties = {METADATA_KEY: contract.to_json()}
        if self.clip is not None:
            buffer = io.BytesIO()
            self.clip.save(buffer)
            properties[REFERENCE_KEY] = base64.b64encode(buffer.getvalue()).decode()
        model = read_model(self.network, contract.name)
        onnx.helper.set_model_props(model, properties)
        with atomic_path(out) as temporary:
            onnx.save(model, str(temporary))
            OnnxPolicy.load(temporary)
        return contract


def read_model(data: bytes, name: str) -> onnx.ModelProto:
    """The ONNX model of a file's bytes.

    Raises:
        VmError: not ONNX, or weights outside the file, whose paths could lead anywhere.
    """
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf raises kinds of its own
        raise VmError(f"{name}: damaged or not an ONNX network ({type(error).__name__})") from None
    texts = [text for entry in model.metadata_props for text in (entry.key, entry.value)]
    if not all(isinstance(text, str) for text in texts):  # protobuf hands over bytes where it is not UTF-8
        raise VmError(f"{name}: damaged metadata (not UTF-8)")
    outside = [
        tensor.name for tensor in model.graph.initializer if onnx.external_data_helper.uses_external_data(tensor)
    ]
    if outside:
        raise VmError(f"{name}: the weights {', '.join(outside[:3])} lie outside the file; expected all in one file")
    return model


def _record_golden(data: bytes, contract: PolicyContract, clip: MotionClip | None) -> GoldenPair:
    session = open_session(data, contract.name)
    shape = session.get_inputs()[0].shape
    if len(shape) != 2 or shape[1] != contract.observation_size:
        terms = ", ".join(f"{t.name} {t.size}×{t.history_length}" for t in contract.observation)
        raise VmError(f"the network takes {shape}; the terms give [1, {contract.observation_size}] ({terms})")
    observation = np.random.default_rng(_GOLDEN_SEED).normal(0.0, 0.5, contract.observation_size).astype(np.float32)
    try:
        action = OnnxPolicy(session, contract, clip, contract.name).act(observation)
    except VmError:
        raise
    except Exception as error:  # a damaged graph may open and still not run
        raise VmError(f"{contract.name}: the network does not run ({str(error).splitlines()[0][:120]})") from None
    if action.shape != (len(contract.joint_names),):
        raise VmError(f"the network gives {action.size} actions; the policy has {len(contract.joint_names)} joints")
    if not np.all(np.isfinite(action)):
        raise VmError(f"{contract.name}: the network answers with numbers that are none")
    return GoldenPair(tuple(observation.tolist()), tuple(action.tolist()))
