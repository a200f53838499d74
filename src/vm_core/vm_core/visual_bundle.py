"""A visual policy: a folder with two networks that belong together, `generator.onnx` and `tracker.onnx`.

The tracker is a policy file like any other (its `PolicyContract` in the metadata) that reads the term
`keypoint_command` and tells in `command_statistics` which commands it knows. The generator's metadata hold a
`GeneratorContract`: what it sees, its golden pair, and the fingerprint of the very tracker it was trained over. A
folder whose tracker is another one is refused by name.

Generator: inputs `depth` (1, height, width), scaled by `DepthSpec.scaled`, and `observation` (1, n), the terms of its
contract; output `command` (1, 18) [m] before the clamp to the tracker's `command_statistics.bounds`. Its term
`last_keypoint_command` is what it gave one period ago, clamped; the tracker's `keypoint_command` is that of now.
`run` 0 asks it to stand still; where the contract has `rest_keypoints`, `vm_core.halting` does so in its place.
A generator that reads the term `memory` has a second output of this name, which it is given one period later.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vm_core import g1
from vm_core.depth_image import DepthSpec
from vm_core.errors import VmError
from vm_core.gait_clock import STEPS_TO_REST
from vm_core.halting import PERIOD_S, Halting
from vm_core.keypoint_command import COMMAND_SIZE, KEYPOINT_NAMES
from vm_core.lifting import Lifting, LiftPath
from vm_core.observation_terms import COMMAND_TERMS
from vm_core.policy_contract import HISTORY_LAYOUTS, MAX_TOLERANCE, ObservationTerm, PolicyContract

GENERATOR_FILE, TRACKER_FILE = "generator.onnx", "tracker.onnx"
GENERATOR_KEY = "vm_generator_contract"
DEPTH_INPUT, OBSERVATION_INPUT, COMMAND_OUTPUT, MEMORY_OUTPUT = "depth", "observation", "command", "memory"
FORMAT_VERSION = 1
COMMAND_TERM, LEGS_TERM = "keypoint_command", "leg_velocity"
_TOLD = frozenset(
    (
        *("base_ang_vel", "projected_gravity", "joint_pos", "joint_pos_rel", "joint_vel_rel", "last_action"),
        *("gait_phase", LEGS_TERM),
    )
)
"""What both networks may read beside COMMAND_TERMS: the robot's own state, no odometry."""


@dataclass(frozen=True)
class GoldenCommand:
    """What the generator gave when it was exported; depth is flat, rows first, scaled."""

    depth: tuple[float, ...]
    observation: tuple[float, ...]
    command: tuple[float, ...]
    tolerance: float = 1e-4


@dataclass(frozen=True)
class GeneratorContract:
    """What a generator's file says of itself.

    Attributes:
        name: of the policy, for people and logs.
        task: what it does, such as push_box.
        tracker: `fingerprint` of the tracker's file that it was trained over.
        depth: the picture that it sees.
        observation: its other terms, in the network's order.
        history_layout: how histories are flattened; one of HISTORY_LAYOUTS.
        control_period_s: the same as the tracker's.
        gait_step_s: time of a step, when a term reads the gait clock, which goes while `run` is 1.
        gait_steps_to_rest: of that clock, see `vm_core.gait_clock.steps_of_walk`.
        rest_keypoints: (15,) head, hands and feet of standing at ease, from the pelvis in its heading's axes [m]: while
            `run` is 0, `vm_core.halting` leads the robot there; None: the network does what it learnt.
        default_joint_pos, joint_names: as the tracker's; what the terms are relative to, in this order.
        training: run, command, git commit, figures; for people.
        lift: where `vm_core.lifting` leads the robot once the thing is within reach; None: nothing is lifted.
        golden: what every loader replays.
    """

    name: str
    task: str
    tracker: str
    joint_names: tuple[str, ...]
    default_joint_pos: tuple[float, ...]
    observation: tuple[ObservationTerm, ...]
    depth: DepthSpec = field(default_factory=DepthSpec)
    history_layout: str = "term_major_oldest_first"
    control_period_s: float = 0.02
    gait_step_s: float | None = None
    gait_steps_to_rest: float = STEPS_TO_REST
    rest_keypoints: tuple[float, ...] | None = None
    lift: LiftPath | None = None
    golden: GoldenCommand | None = None
    training: dict = field(default_factory=dict)
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        check_terms(self.observation, "generator")
        names = [term.name for term in self.observation]
        if COMMAND_TERM in names:
            raise VmError(f"generator reads {COMMAND_TERM}, which it is to make; the one before is last_{COMMAND_TERM}")
        if "gait_phase" in names and not 0.1 <= (self.gait_step_s or 0.0) <= 5.0:
            raise VmError(f"generator reads the gait clock; expected gait_step_s of 0.1 to 5 s, got {self.gait_step_s}")
        if not 0.0 <= self.gait_steps_to_rest <= 4.0:
            raise VmError(f"generator rests after {self.gait_steps_to_rest} steps; expected 0 to 4")
        if self.rest_keypoints is not None:
            self._check_rest()
        if self.lift is not None and (self.rest_keypoints is None or self.memory_size < 2):
            raise VmError("generator lifts; expected one that rests by a law and remembers where the thing is")
        if LEGS_TERM in names and self.joint_names != g1.POLICY_JOINT_NAMES:
            raise VmError(f"generator reads {LEGS_TERM} of {len(self.joint_names)} joints; expected the policy's 23")
        if any(term.name == "memory" and term.history_length != 1 for term in self.observation):
            raise VmError("generator reads a history of its memory; expected the newest only")
        if self.history_layout not in HISTORY_LAYOUTS:
            raise VmError(f"history layout {self.history_layout!r} is unknown; there are {', '.join(HISTORY_LAYOUTS)}")
        if len(self.tracker) != 64:
            raise VmError(f"generator names the tracker {self.tracker!r}; expected a fingerprint of 64 digits")

    def _check_rest(self) -> None:
        values, wanted = self.rest_keypoints or (), 3 * len(KEYPOINT_NAMES)
        if len(values) != wanted or not all(math.isfinite(value) and abs(value) < 2.0 for value in values):
            raise VmError(f"generator rests at {len(values)} numbers {values}; expected {wanted} within 2 m")
        if self.joint_names != g1.POLICY_JOINT_NAMES or self.control_period_s != PERIOD_S:
            wanted = f"{len(g1.POLICY_JOINT_NAMES)} joints in the policy's order every {PERIOD_S} s"
            found = f"{len(self.joint_names)} joints every {self.control_period_s} s"
            raise VmError(f"generator rests by a law for {wanted}; its contract has {found}")

    def halting(self, count: int = 1) -> Halting | None:
        """What leads `count` robots to rest while `run` is 0; None: the network."""
        return None if self.rest_keypoints is None else Halting(np.reshape(self.rest_keypoints, (-1, 3)), count)

    def lifting(self, count: int = 1) -> Lifting | None:
        """What leads `count` robots that lift; None: these do not."""
        return None if self.lift is None else Lifting(self.lift, count)

    @property
    def memory_size(self) -> int:
        """How many numbers the network is given again one period later."""
        return sum(term.size for term in self.observation if term.name == "memory")

    @property
    def observation_size(self) -> int:
        return sum(term.size * term.history_length for term in self.observation)

    def to_json(self) -> str:
        """Full-precision JSON."""
        return json.dumps(asdict(self), allow_nan=False)

    @staticmethod
    def from_json(text: str) -> GeneratorContract:
        """Reads and checks a contract.

        Raises:
            VmError: damaged JSON, another version, or numbers that contradict each other.
        """
        try:
            raw = json.loads(text)
            if raw.get("format_version") != FORMAT_VERSION:
                raise VmError(f"generator contract version {raw.get('format_version')!r}; expected {FORMAT_VERSION}")
            values = {key: _tuples(value) for key, value in raw.items()}
            values["observation"] = tuple(
                ObservationTerm(**{key: _tuples(value) for key, value in term.items()}) for term in raw["observation"]
            )
            values["depth"] = DepthSpec(**{key: _tuples(value) for key, value in raw["depth"].items()})
            if raw.get("lift") is not None:
                values["lift"] = LiftPath.from_raw(raw["lift"])
            if raw["golden"] is not None:
                values["golden"] = GoldenCommand(**{key: _tuples(value) for key, value in raw["golden"].items()})
            values["training"] = raw["training"]
            return GeneratorContract(**values)
        except VmError:
            raise
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise VmError(f"damaged generator contract: {error!r}") from None


def check_terms(terms: tuple[ObservationTerm, ...], who: str) -> None:
    """Raises VmError for terms that a visual policy is not told on a robot."""
    known = _TOLD | COMMAND_TERMS
    refused = [term.name for term in terms if term.name not in known]
    if refused:
        raise VmError(f"{who} reads {', '.join(refused)}; a visual policy is told {', '.join(sorted(known))}")


def fingerprint(data: bytes) -> str:
    """SHA-256 of a network's file, 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def is_bundle(path: Path | str) -> bool:
    """Whether a path is a folder that holds, or should hold, the two networks."""
    return Path(path).is_dir()


def check_halves(generator: GeneratorContract, tracker: PolicyContract, tracker_bytes: bytes, name: str) -> None:
    """Whether two networks belong together; writers and loaders call this.

    Raises:
        VmError: they do not; says which number of which half differs.
    """
    found = fingerprint(tracker_bytes)
    if found != generator.tracker:
        raise VmError(
            f"{name}: the two halves disagree: {GENERATOR_FILE} was trained over tracker {generator.tracker[:12]}…, "
            f"{TRACKER_FILE} is {found[:12]}…; export both together"
        )
    for field_name in ("control_period_s", "joint_names", "default_joint_pos"):
        ours, theirs = getattr(generator, field_name), getattr(tracker, field_name)
        if ours != theirs:
            raise VmError(f"{name}: the two halves disagree: {field_name} is {ours} in {GENERATOR_FILE}, "
                          f"{theirs} in {TRACKER_FILE}")  # fmt: skip
    check_terms(tracker.observation, f"{name}: {TRACKER_FILE}")
    terms = [term.name for term in tracker.observation]
    if COMMAND_TERM not in terms:
        raise VmError(f"{name}: {TRACKER_FILE} reads no {COMMAND_TERM}; its terms are {', '.join(terms)}")
    if tracker.command_statistics is None:
        raise VmError(f"{name}: {TRACKER_FILE} has no command_statistics, so nothing says where to clamp the command")


def check_golden(contract: GeneratorContract, command: np.ndarray, name: str) -> None:
    """Compares a replayed command (18,) with the golden one.

    Raises:
        VmError: there is none, or the two differ; names the number.
    """
    golden = contract.golden
    if golden is None:
        raise VmError(f"{name}: the generator has no golden pair, so nothing proves that this is the trained network")
    sizes = (len(golden.depth), len(golden.observation), len(golden.command))
    wanted = (contract.depth.width * contract.depth.height, contract.observation_size, COMMAND_SIZE)
    if sizes != wanted:
        raise VmError(f"{name}: golden pair of {sizes} numbers (depth, observation, command); expected {wanted}")
    if command.shape != (COMMAND_SIZE,):
        raise VmError(f"{name}: the generator gives {command.shape} numbers; expected ({COMMAND_SIZE},)")
    if not 0.0 <= golden.tolerance <= MAX_TOLERANCE:
        raise VmError(f"{name}: golden pair's tolerance is {golden.tolerance}; expected 0 to {MAX_TOLERANCE:g}")
    difference = np.abs(command - np.array(golden.command))
    worst = int(np.argmax(np.where(np.isfinite(difference), difference, np.inf)))
    if not difference[worst] <= golden.tolerance:
        raise VmError(f"{name}: golden pair differs, number {worst} of the command is {command[worst]:.6g}, "
                      f"expected {golden.command[worst]:.6g} ± {golden.tolerance:g}")  # fmt: skip


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
