"""What a policy's ONNX file says of itself: everything that a node must match before it may move a motor."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from vm_core.errors import VmError
from vm_core.g1 import MOTOR_NAMES, PELVIS_BODY, TORSO_BODY
from vm_core.gait_clock import STEPS_TO_REST
from vm_core.height_grid import HeightGridSpec
from vm_core.keypoint_command import CommandStatistics
from vm_core.observation_terms import ANCHOR_TERMS, ODOMETRY_TERMS, PHASE_TERMS
from vm_core.phase_clocks import CLOCKS

METADATA_KEY = "vm_policy_contract"
REFERENCE_KEY = "vm_reference_clip"
FORMAT_VERSION = 1
ROBOT = "unitree_g1_29dof"
HISTORY_LAYOUTS = (
    "term_major_oldest_first",
    "term_major_newest_first",
    "frame_major_oldest_first",
    "frame_major_newest_first",
)
ANCHOR_BODIES = (PELVIS_BODY, TORSO_BODY)
ACTION_BASES = ("default_pose", "reference_target")
MAX_KP, MAX_KD = 500.0, 20.0
"""Gains [Nm/rad, Nm s/rad] beyond what any policy of a G1 uses, and beyond what its motors hold without chattering."""
MAX_TOLERANCE = 0.01
"""A golden pair that may be off by more proves nothing."""


@dataclass(frozen=True)
class ObservationTerm:
    """One block of the observation vector.

    Attributes:
        name: a key of `vm_core.observation_terms.TERMS`.
        size: numbers a frame.
        scale: factor on each number, one or `size` of them.
        clip: bounds before scaling, or None.
        history_length: frames that the network sees.
    """

    name: str
    size: int
    scale: tuple[float, ...] = (1.0,)
    clip: tuple[float, float] | None = None
    history_length: int = 1

    def __post_init__(self) -> None:
        if self.size < 1 or self.history_length < 1 or len(self.scale) not in (1, self.size):
            raise VmError(
                f"observation term {self.name!r}: size {self.size}, history {self.history_length}, "
                f"{len(self.scale)} scales; expected at least 1, at least 1, and 1 or size scales"
            )


@dataclass(frozen=True)
class GoldenPair:
    """An observation and the action that the network gave for it when it was exported."""

    observation: tuple[float, ...]
    action: tuple[float, ...]
    tolerance: float = 1e-4


@dataclass(frozen=True)
class PolicyContract:
    """A policy's contract; per-joint tuples follow `joint_names`.

    Attributes:
        name: for people and logs.
        joint_names: joints that the network moves, in its own order.
        default_joint_pos: pose [rad] that observations are relative to and default_pose actions add to.
        action_scale: [rad] a unit of action.
        action_clip: bound on the raw network output, or None.
        joint_target_clip: lower and upper bound [rad] of each joint's target, or None.
        action_base: what actions add to: default_pose or reference_target (the embedded clip's PD target).
        kp: [Nm/rad].  kd: [Nm s/rad].
        held_joints: the other motors: name to (position [rad], kp, kd).
        control_period_s: time between two actions.
        observation: terms in the network's order.
        history_layout: how histories are flattened; one of HISTORY_LAYOUTS.
        height_grid: geometry, when a term reads it.
        height_grid_unknown: what unknown cells read as [m].
        height_grid_max_age_s: oldest grid that may be acted on.
        gait_step_s: time of a step, when a term reads the gait clock.
        gait_quick_step_s: time of a quick step, when a term reads which pace it is (`vm_core.gait_pace`), or None.
        gait_fade_steps: from so many steps before the last touch-down on the clock fades out.
        phase_clock: which clock of `vm_core.phase_clocks` the phase terms read, or None.
        phase_period_s: its period.
        anchor_body: the body whose pose the anchor terms compare, pelvis or torso_link, or None.
        command_statistics: of the keypoint commands that it was trained on, when a term reads one.
        command_limits: lower and upper bounds of vx [m/s], vy [m/s], yaw rate [rad/s].
        training: run, command, git commit, figures; for people.
        golden: the pair that every loader replays.
    """

    name: str
    joint_names: tuple[str, ...]
    default_joint_pos: tuple[float, ...]
    action_scale: tuple[float, ...]
    kp: tuple[float, ...]
    kd: tuple[float, ...]
    observation: tuple[ObservationTerm, ...]
    golden: GoldenPair | None = None
    held_joints: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    action_clip: float | None = None
    joint_target_clip: tuple[tuple[float, float], ...] | None = None
    action_base: str = "default_pose"
    control_period_s: float = 0.02
    history_layout: str = "term_major_oldest_first"
    height_grid: HeightGridSpec | None = None
    height_grid_unknown: float = 0.85
    height_grid_max_age_s: float = 0.5
    gait_step_s: float | None = None
    gait_quick_step_s: float | None = None
    gait_fade_steps: float = 0.0
    phase_clock: str | None = None
    phase_period_s: float | None = None
    anchor_body: str | None = None
    command_statistics: CommandStatistics | None = None
    command_limits: tuple[tuple[float, float], ...] = ((0.0, 0.0), (0.0, 0.0), (0.0, 0.0))
    training: dict = field(default_factory=dict)
    robot: str = ROBOT
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        _check(self)

    @property
    def observation_size(self) -> int:
        return sum(term.size * term.history_length for term in self.observation)

    @property
    def uses_reference(self) -> bool:
        return self.action_base == "reference_target" or any(t.name.startswith("ref_") for t in self.observation)

    @property
    def uses_odometry(self) -> bool:
        return any(t.name in ODOMETRY_TERMS for t in self.observation)

    def motor_indices(self) -> np.ndarray:
        """Motor index (J,) of each policy joint."""
        return np.array([MOTOR_NAMES.index(name) for name in self.joint_names])

    def to_json(self) -> str:
        """Full-precision JSON (Python's shortest exact form of each float)."""
        return json.dumps(asdict(self), allow_nan=False)

    @staticmethod
    def from_json(text: str) -> PolicyContract:
        """Reads and checks a contract.

        Raises:
            VmError: damaged JSON, unknown version, another robot, or numbers that contradict each other.
        """
        try:
            raw = json.loads(text)
            version, robot = raw["format_version"], raw["robot"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise VmError("policy contract is not readable JSON with format_version and robot") from None
        if version != FORMAT_VERSION:
            raise VmError(f"policy contract has version {version!r}; this reads version {FORMAT_VERSION}")
        if robot != ROBOT:
            raise VmError(f"policy is for robot {robot!r}; this is {ROBOT!r}")
        try:
            return _from_raw(raw)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise VmError(f"policy contract is damaged: {error!r}") from None


def _from_raw(raw: dict) -> PolicyContract:
    values = {key: _tuples(value) for key, value in raw.items()}
    values["observation"] = tuple(
        ObservationTerm(**{key: _tuples(value) for key, value in term.items()}) for term in raw["observation"]
    )
    values["held_joints"] = {name: tuple(held) for name, held in raw["held_joints"].items()}
    values["training"] = raw["training"]
    if raw["height_grid"] is not None:
        values["height_grid"] = HeightGridSpec(**raw["height_grid"])
    if raw.get("command_statistics") is not None:
        values["command_statistics"] = CommandStatistics(
            **{key: _tuples(value) for key, value in raw["command_statistics"].items()}
        )
    if raw["golden"] is not None:
        golden = {key: _tuples(value) for key, value in raw["golden"].items()}
        values["golden"] = GoldenPair(**golden)
    return PolicyContract(**values)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _check(contract: PolicyContract) -> None:
    joints = len(contract.joint_names)
    unknown = [n for n in (*contract.joint_names, *contract.held_joints) if n not in MOTOR_NAMES]
    if unknown:
        raise VmError(f"policy names joints that the G1 lacks: {', '.join(unknown)}; it has {', '.join(MOTOR_NAMES)}")
    missing = set(MOTOR_NAMES) - set(contract.joint_names) - set(contract.held_joints)
    doubled = len(set(contract.joint_names)) != joints or set(contract.joint_names) & set(contract.held_joints)
    if missing or doubled:
        raise VmError(f"policy must move or hold each motor once; missing: {', '.join(sorted(missing)) or 'none'}")
    for name in ("default_joint_pos", "action_scale", "kp", "kd"):
        value = getattr(contract, name)
        if len(value) != joints or not np.all(np.isfinite(value)):
            raise VmError(f"policy's {name} has {len(value)} values; expected {joints} finite ones, one a joint")
    _check_numbers(contract)
    clip = contract.joint_target_clip
    if clip is not None and (np.shape(clip) != (joints, 2) or not np.all(np.diff(clip) > 0.0)):
        raise VmError(f"policy's joint_target_clip has shape {np.shape(clip)}; expected {joints} pairs lower < upper")
    if contract.action_base not in ACTION_BASES:
        raise VmError(f"action base {contract.action_base!r} is unknown; there are {', '.join(ACTION_BASES)}")
    if contract.history_layout not in HISTORY_LAYOUTS:
        raise VmError(f"history layout {contract.history_layout!r} is unknown; there are {', '.join(HISTORY_LAYOUTS)}")
    if not 0.001 <= contract.control_period_s <= 0.1:
        raise VmError(f"control period {contract.control_period_s} s; expected 0.001 to 0.1 s")
    if any(t.name == "height_grid" for t in contract.observation) and contract.height_grid is None:
        raise VmError("policy reads a height grid but its contract has no grid geometry")
    if any(t.name == "gait_phase" for t in contract.observation) and not 0.1 <= (contract.gait_step_s or 0.0) <= 5.0:
        raise VmError(f"policy reads the gait clock; expected gait_step_s of 0.1 to 5 s, got {contract.gait_step_s}")
    _check_paces(contract)
    if not 0.0 <= contract.gait_fade_steps <= STEPS_TO_REST:
        raise VmError(f"gait clock fades over {contract.gait_fade_steps} steps; expected 0 to {STEPS_TO_REST}")
    if any(t.name == "keypoint_command" for t in contract.observation) and contract.command_statistics is None:
        raise VmError("policy follows keypoint commands but its contract has no command_statistics to clamp them by")
    _check_clock_and_anchor(contract)


def _check_paces(contract: PolicyContract) -> None:
    quick_s = contract.gait_quick_step_s
    if any(t.name == "gait_pace" for t in contract.observation) != (quick_s is not None):
        raise VmError(f"policy's gait_quick_step_s is {quick_s}; expected one if, and only if, it reads gait_pace")
    if quick_s is None:
        return
    if contract.height_grid is None or not 0.1 <= quick_s < (contract.gait_step_s or 0.0):
        raise VmError(
            f"policy's gait_quick_step_s is {quick_s}; expected 0.1 s to less than its gait_step_s, "
            f"{contract.gait_step_s}, and a height grid that says which pace is due"
        )


def _check_numbers(contract: PolicyContract) -> None:
    """What would move a robot in a way that nobody has asked for."""
    held = np.array(list(contract.held_joints.values()), dtype=float).reshape(-1, 3)
    if not np.all(np.isfinite(held)):
        raise VmError("policy's held_joints have numbers that are none; expected position, kp and kd of each")
    for name, gains, most in (
        ("kp", (*contract.kp, *held[:, 1]), MAX_KP),
        ("kd", (*contract.kd, *held[:, 2]), MAX_KD),
    ):
        if min(gains) < 0.0 or max(gains) > most:
            raise VmError(f"policy's {name} goes from {min(gains):g} to {max(gains):g}; expected 0 to {most:g}")
    limits = np.array(contract.command_limits, dtype=float)
    if limits.shape != (3, 2) or not (
        np.all(np.isfinite(limits)) and np.all(limits[:, 0] <= 0.0) and np.all(limits[:, 1] >= 0.0)
    ):
        raise VmError(
            f"policy's command_limits are {contract.command_limits}; expected lower and upper of vx, vy and yaw rate, "
            "around 0: no command means standing still"
        )
    if contract.action_clip is not None and not 0.0 < contract.action_clip < np.inf:
        raise VmError(f"policy's action_clip is {contract.action_clip}; expected a positive number or none")
    if not 0.0 < contract.height_grid_max_age_s < np.inf:
        raise VmError(f"policy's height_grid_max_age_s is {contract.height_grid_max_age_s}; expected a positive number")
    if contract.golden is not None and not 0.0 <= contract.golden.tolerance <= MAX_TOLERANCE:
        raise VmError(f"golden pair's tolerance is {contract.golden.tolerance}; expected 0 to {MAX_TOLERANCE:g}")


def _check_clock_and_anchor(contract: PolicyContract) -> None:
    wanted = {PHASE_TERMS[term.name] for term in contract.observation if term.name in PHASE_TERMS}
    if contract.phase_clock is not None and contract.phase_clock not in CLOCKS:
        raise VmError(f"phase clock {contract.phase_clock!r} is unknown; there are {', '.join(CLOCKS)}")
    if wanted - {contract.phase_clock}:
        raise VmError(f"policy reads the phase clocks {', '.join(sorted(wanted))}; it names {contract.phase_clock!r}")
    if contract.phase_clock is not None and not 0.1 <= (contract.phase_period_s or 0.0) <= 10.0:
        raise VmError(f"phase period {contract.phase_period_s} s; expected 0.1 to 10 s")
    if any(term.name in ANCHOR_TERMS for term in contract.observation) and contract.anchor_body not in ANCHOR_BODIES:
        raise VmError(f"policy compares an anchor body {contract.anchor_body!r}; expected {', '.join(ANCHOR_BODIES)}")
