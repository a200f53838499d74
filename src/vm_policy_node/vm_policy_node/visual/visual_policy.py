"""A visual policy that has proved itself: two networks that belong together, each giving what it was exported with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from vm_core.errors import VmError
from vm_core.keypoint_command import COMMAND_SIZE
from vm_core.visual_bundle import (
    COMMAND_OUTPUT,
    DEPTH_INPUT,
    GENERATOR_FILE,
    GENERATOR_KEY,
    MEMORY_OUTPUT,
    OBSERVATION_INPUT,
    TRACKER_FILE,
    GeneratorContract,
    check_golden,
    check_halves,
    is_bundle,
)
from vm_policy_node.onnx_policy import OnnxPolicy, open_session, read_metadata, read_policy_bytes


class Generator:
    """The network that looks.

    Attributes:
        contract: what the file says of itself.
    """

    def __init__(self, session: onnxruntime.InferenceSession, contract: GeneratorContract) -> None:
        self._session, self.contract = session, contract

    @staticmethod
    def load(path: Path) -> Generator:
        """Reads and checks a generator, and replays its golden pair.

        Raises:
            VmError: missing or damaged file, no contract, shapes that differ from it, or another command than golden.
        """
        inputs = (DEPTH_INPUT, OBSERVATION_INPUT)
        session = open_session(read_policy_bytes(path), path.name, inputs)
        metadata = read_metadata(session, path.name)
        if GENERATOR_KEY not in metadata:
            raise VmError(f"{path}: no generator contract in the metadata (key {GENERATOR_KEY!r})")
        try:
            contract = GeneratorContract.from_json(metadata[GENERATOR_KEY])
        except VmError as error:
            raise VmError(f"{path.name}: {error}") from None
        generator = Generator(session, contract)
        generator._check_shapes(path.name)
        golden = contract.golden
        if golden is None or len(golden.depth) != contract.depth.width * contract.depth.height:
            check_golden(contract, np.zeros(COMMAND_SIZE), path.name)  # says what is wrong
        assert golden is not None
        shape = (contract.depth.height, contract.depth.width)
        try:
            command = generator.command(np.array(golden.depth).reshape(shape), np.array(golden.observation))
        except Exception as error:  # a damaged graph may open and still not run
            raise VmError(f"{path.name}: the network does not run ({str(error).splitlines()[0][:120]})") from None
        check_golden(contract, command, path.name)
        return generator

    def command(self, depth: np.ndarray, observation: np.ndarray) -> np.ndarray:
        """The command (18,) [m] of `look`."""
        return self.look(depth, observation)[0]

    def look(self, depth: np.ndarray, observation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The command (18,) [m] before the clamp and the memory (M,) for the next period, for a scaled picture (height,
        width) and an observation (n,)."""
        feed = {
            DEPTH_INPUT: np.asarray(depth, dtype=np.float32)[None],
            OBSERVATION_INPUT: np.asarray(observation, dtype=np.float32)[None],
        }
        outputs = [COMMAND_OUTPUT, MEMORY_OUTPUT] if self.contract.memory_size else [COMMAND_OUTPUT]
        command, *memory = (np.asarray(part, dtype=np.float64)[0] for part in self._session.run(outputs, feed))
        return command, memory[0] if memory else np.zeros(0)

    def _check_shapes(self, name: str) -> None:
        contract = self.contract
        wanted = {
            DEPTH_INPUT: [contract.depth.height, contract.depth.width],
            OBSERVATION_INPUT: [contract.observation_size],
            COMMAND_OUTPUT: [COMMAND_SIZE],
        }
        if contract.memory_size:
            wanted[MEMORY_OUTPUT] = [contract.memory_size]
        nodes = {node.name: node for node in (*self._session.get_inputs(), *self._session.get_outputs())}
        for what, shape in wanted.items():
            node = nodes.get(what)
            if node is None or list(node.shape[1:]) != shape or node.type != "tensor(float)":
                found = "missing" if node is None else f"{node.type} {node.shape}"
                raise VmError(
                    f"{name}: {what} is {found}; the contract says tensor(float) [1, {', '.join(map(str, shape))}]"
                )


class VisualPolicy:
    """Generator and tracker.

    Attributes:
        generator, tracker: the two networks.
        contract: the tracker's, which moves the joints.
        name: of the whole.
        clip, reference: none; for what is written for policies that follow one.
    """

    def __init__(self, generator: Generator, tracker: OnnxPolicy) -> None:
        self.generator, self.tracker = generator, tracker
        self.contract = tracker.contract
        self.name = generator.contract.name
        self.clip = self.reference = None
        self.act = tracker.act

    @staticmethod
    def load(folder: Path | str) -> VisualPolicy:
        """Reads, checks and replays both halves.

        Raises:
            VmError: a half is missing, damaged, or does not belong to the other.
        """
        folder = Path(folder)
        missing = [name for name in (GENERATOR_FILE, TRACKER_FILE) if not (folder / name).is_file()]
        if missing:
            raise VmError(f"{folder}: no {' and no '.join(missing)}; a visual policy's folder holds both networks")
        generator = Generator.load(folder / GENERATOR_FILE)
        tracker = OnnxPolicy.load(folder / TRACKER_FILE, commanded=True)
        check_halves(generator.contract, tracker.contract, (folder / TRACKER_FILE).read_bytes(), folder.name)
        return VisualPolicy(generator, tracker)


AnyPolicy = OnnxPolicy | VisualPolicy


def load_policy(path: Path | str) -> AnyPolicy:
    """A policy file, or a visual policy's folder.

    Raises:
        VmError: it cannot be used.
    """
    return VisualPolicy.load(path) if is_bundle(path) else OnnxPolicy.load(path)
