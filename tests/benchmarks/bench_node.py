"""The policy node's own work and pace: on a quiet machine, and with both cores loaded by niced jobs.

The simulator, the node and a monitor run; nothing else does. `make bench ONLY=loop` has all nodes.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from lockstep import Lockstep, velocity_policy
from loop_timing import LOADED, listening, niced_load, times

from vm_core.observation import build_terms
from vm_core.observation_terms import ObservationInputs
from vm_core.scene_asset import SceneAsset
from vm_core.unitree_cdr import low_cmd_crc
from vm_policy_node.bringup.nodes import NodeSpec
from vm_policy_node.bringup.processes import run_nodes
from vm_policy_node.motor_command import MotorCommand
from vm_policy_node.policy_runner import PolicyInputs
from vm_policy_node.safety import State

REPEATS = 2000
RUN_S = float(os.environ.get("VM_BENCH_NODE_S", "20"))


def figures(seed: int) -> Iterator[dict]:
    """Parts of a control step, then the running node."""
    yield from _parts(seed)
    with tempfile.TemporaryDirectory(prefix="vm-bench-") as name:
        yield from _running(Path(name), seed, "quiet", 2.0)
        with niced_load():
            yield from _running(Path(name), seed, LOADED, 5.0)


def _figure(figure: str, value: float, unit: str, goal: float) -> dict:
    return {"figure": figure, "value": round(float(value), 3), "unit": unit, "goal": goal, "better": "lower"}


def _parts(seed: int) -> Iterator[dict]:
    """Medians over many control steps of a walking robot, in one process."""
    walk = Lockstep(lambda now_s: (0.5, 0.0, 0.0), seed)
    walk.start()
    walk.run(1.0)
    controller, runner = walk.controller, walk.controller.runner
    inputs = PolicyInputs(controller._sound_state(), controller._root_quat(), controller.command.value, None, None)
    observed: ObservationInputs = runner._observed(inputs, None)
    observation = runner._history.push(build_terms(runner.contract.observation, observed))
    targets = runner.step(inputs)
    message = MotorCommand(damping_kd=5.0, torque_margin=2.0, echo_tick=True)
    yield _figure("ONNX inference p50", _median_us(lambda: runner.policy.act(observation)), "us", 100.0)

    def observe() -> None:
        runner._history.push(build_terms(runner.contract.observation, runner._observed(inputs, None)))

    yield _figure("observation building p50", _median_us(observe), "us", 100.0)
    yield _figure(
        "message filling p50", _median_us(lambda: message.towards(targets, inputs.state).tobytes()), "us", 300.0
    )
    yield _figure("checksum p50", _median_us(lambda: low_cmd_crc(message.record)), "us", 100.0)
    walk.control_s.clear()
    walk.run(4.0)
    assert walk.state == State.RUNNING
    steps_us = 1e6 * np.array(walk.control_s)
    yield _figure("whole control step with all checks p50", float(np.median(steps_us)), "us", 2000.0)


def _median_us(work) -> float:
    times = []
    for _ in range(REPEATS):
        before = time.perf_counter()
        work()
        times.append(time.perf_counter() - before)
    return 1e6 * float(np.median(times))


def _running(folder: Path, seed: int, how: str, goal_ms: float) -> Iterator[dict]:
    """The node stands and runs in real time under Unitree's walking policy."""
    policy, scene = folder / "velocity.onnx", folder / "scene"
    if not policy.is_file():
        from shared_data import shared

        from vm_policy_node.importers.unitree_rl_lab import import_unitree_rl_lab

        import_unitree_rl_lab(shared("policies/unitree_g1_velocity")).write(policy)
        SceneAsset().save(scene)
        velocity_policy()
    simulator = {"scene": str(scene), "duration_s": RUN_S, "seed": seed}
    controller = {"policy": str(policy), "auto_stand": True, "auto_run": True, "echo_tick": True, "late_cycle_s": 1.0}
    nodes = [
        NodeSpec("vm_sim", "vm_sim", "vm-sim", simulator, ends_all=True),
        NodeSpec("vm_policy_node", "vm_policy_node", "vm-policy-node", controller, own_core=True),
    ]
    with listening(folder / "seen.json") as seen:
        run_nodes(nodes)
    if not seen["period_ms"]:
        print(f"{how}: the policy did not run", file=sys.stderr)
        return
    yield from times(seen, f", {how}", goal_ms)
    yield _figure(f"gap between commands p99 (500 Hz), {how}", np.percentile(seen["stream_gap_ms"], 99), "ms", 5.0)
