"""A million broken messages into everything that the node subscribes to, while a robot stands under its controller.

Each goes through the conversion that the node uses, as bytes where the node takes bytes. Between them sound messages
keep the controller awake, and whatever it commands is held against the limits. `VM_BENCH_FUZZ` sets how many.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import policy_files as files
from command_audit import CommandAudit
from fuzz_messages import FuzzedMessages, sound_low_state

from vm_core import g1
from vm_core.depth_image import DepthSpec
from vm_core.height_grid import HeightGridSpec
from vm_policy_node.controller import Controller
from vm_policy_node.controller_config import ControllerConfig
from vm_policy_node.inputs import Grid
from vm_policy_node.onnx_policy import OnnxPolicy
from vm_policy_node.operator_requests import REQUESTS
from vm_policy_node.safety import Needs, SafetyLimits, State
from vm_policy_node.visual.depth_input import DepthInput

MESSAGES = int(os.environ.get("VM_BENCH_FUZZ", "1000000"))
PER_CYCLE = 50
ROUND, BURST = 100, 30
"""Cycles between two bursts of broken messages, with the burst, and of the burst alone: time to stand and run again."""
SPEC = HeightGridSpec()


def figures(seed: int) -> Iterator[dict]:
    """Crashes and unsafe commands."""
    with tempfile.TemporaryDirectory(prefix="vm-bench-") as folder:
        fuzz = Fuzz(_policy(Path(folder)), seed)
    while fuzz.messages < MESSAGES:
        fuzz.cycle()
        if fuzz.cycles % 5000 == 0:
            print(f"{fuzz.messages}/{MESSAGES} messages, {fuzz.audit.seen} commands", file=sys.stderr)
    for line in (fuzz.crashes + fuzz.audit.outside)[:20]:
        print(line, file=sys.stderr)
    many = f"{fuzz.messages:,} fuzzed messages"
    yield _figure(f"crashes by {many}", len(fuzz.crashes), 0.0)
    yield _figure(f"unsafe commands, of {fuzz.audit.seen:,}, by {many}", len(fuzz.audit.outside), 0.0)
    yield _figure("cycles in which the controller was armed", fuzz.armed / fuzz.cycles, 0.1, "higher")


def _figure(figure: str, value: float, goal: float, better: str = "lower") -> dict:
    return {"figure": figure, "value": round(float(value), 4), "unit": "1", "goal": goal, "better": better}


def _policy(folder: Path) -> OnnxPolicy:
    """A small network of the tests: fuzzing asks what the node lets through, not how it walks."""
    moved = [g1.motor_index(name) for name in g1.POLICY_JOINT_NAMES]
    pose = tuple(g1.DEFAULT_STAND_POSE[moved])
    return OnnxPolicy.load(files.write(folder / "policy.onnx", files.contract(default_joint_pos=pose)))


class Fuzz:
    """A controller under fire.

    Attributes:
        messages, cycles, armed: so far; cycles in STANDING or RUNNING.
        crashes: exceptions that came out of a handler.
        audit: of all commands.
    """

    def __init__(self, policy: OnnxPolicy, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._source = FuzzedMessages(self._rng)
        limits = SafetyLimits(start_still_s=0.0)
        self.controller = Controller(policy, ControllerConfig(stand_duration_s=0.1), limits)
        self.controller.runner.needs = Needs(SPEC, odometry=True)
        self.controller._sensing.depth = DepthInput(DepthSpec())  # so that pictures have somewhere to go
        self.audit = CommandAudit()
        self.crashes: list[str] = []
        self.messages = self.cycles = self.armed = 0
        self._now_s = 0.0

    def cycle(self) -> None:
        """One control period: sound messages, broken ones, a step. Some cycles are all sound, so that it can run."""
        self._now_s += 0.02
        self.cycles += 1
        self._sound()
        place = self.cycles % ROUND
        if place == ROUND - BURST:
            self._source.choose()
        if place >= ROUND - BURST:
            for _ in range(PER_CYCLE):
                self._broken()
        self._step()

    def _sound(self) -> None:
        now, controller = self._now_s, self.controller
        controller.estop = ""
        controller.on_low_state(sound_low_state(round(1000 * now), self._rng), now)
        controller.on_odometry(np.array([0.0, 0.0, 0.8]), np.array([1.0, 0, 0, 0]), np.zeros(3), now)
        controller.on_grid(Grid(0.8, np.zeros(SPEC.num_cells), SPEC, 0.1), now)

    def _broken(self) -> None:
        name, deliver = self._source.draw()
        self.messages += 1
        self._guard(name, lambda: deliver(self.controller, self._now_s))

    def _step(self) -> None:
        def step() -> None:
            record = self.controller.step(self._now_s)
            machine = self.controller.machine
            self.audit.look(self._now_s, machine.state, self.controller.state, record)
            self.armed += machine.state in (State.STANDING, State.RUNNING)

        self._guard("step", step)
        # an operator who asks for whatever helps, and now and then for anything
        wanted = {State.IDLE: "stand", State.STANDING: "run", State.DAMPING: "release"}
        name = wanted.get(self.controller.machine.state, "run")
        if self._rng.random() < 0.01:
            name = str(self._rng.choice(list(REQUESTS)))
        self._guard(name, lambda: self.controller.request(name, self._now_s))

    def _guard(self, name: str, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:  # any kind is what is looked for
            self.crashes.append(f"cycle {self.cycles}, {name}: {type(error).__name__}: {error}")
