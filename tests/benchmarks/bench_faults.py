"""Every named fault at random moments of a walk: where the controller ends, when, and what it commands meanwhile.

`VM_BENCH_MOMENTS` moments a fault (4 by default, 20 for the whole figure) in lockstep; then, unless
`VM_BENCH_REAL_TIME=0`, some of them once through the running nodes in real time.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from lockstep import Lockstep, Velocity
from loop_timing import listening
from shared_data import shared

from vm_core.scene_asset import SceneAsset
from vm_policy_node.bringup.nodes import NodeSpec
from vm_policy_node.bringup.processes import run_nodes
from vm_policy_node.importers.unitree_rl_lab import import_unitree_rl_lab
from vm_policy_node.safety import State
from vm_sim.faults import WALKER_FAULTS, Fault, find_fault

MOMENTS = int(os.environ.get("VM_BENCH_MOMENTS", "4"))
FIRST_S, LAST_S = 1.0, 9.0
"""Of the walk: where faults begin."""
WALK: Velocity = (0.5, 0.0, 0.1)
STANDS_STILL = 0.05
AFTERWARDS_S = 0.5
REAL_TIME = ("state_silent", "motor_fault", "estop", "second_publisher", "state_swapped", "command_huge")
REAL_FAULT_AT_S = 11.0
REAL_SLACK_S = 0.3
"""What transport, discovery and a monitor of its own may add to the time that a fault is given."""


def figures(seed: int) -> Iterator[dict]:
    """Faults in lockstep, then in real time."""
    failures, slowest, commands, outside = [], 0.0, 0, []
    walk = Lockstep(lambda now_s: WALK, seed)
    walk.start()
    begin_s = walk.now_s
    for moment in range(MOMENTS):
        rng = np.random.default_rng([seed, moment])
        # one moment in each part of the walk; where in it, chance decides
        part = (LAST_S - FIRST_S) / MOMENTS
        at_s = begin_s + FIRST_S + part * (moment + rng.random())
        walk.run(at_s - walk.now_s)
        assert walk.state == State.RUNNING, walk.controller.machine.cause
        for fault in WALKER_FAULTS:
            twin = walk.branch(int(rng.integers(2**31)))
            problem, took_s = play(twin, fault)
            if problem:
                failures.append(f"{fault.name} at {at_s - begin_s:.2f} s: {problem}")
            slowest = max(slowest, took_s / fault.within_s)
            commands += twin.audit.seen
            outside += [f"{fault.name}: {what}" for what in twin.audit.outside]
        print(f"moment {moment + 1}/{MOMENTS}: {len(failures)} failures", file=sys.stderr)
    for line in failures + outside:
        print(line, file=sys.stderr)
    runs = MOMENTS * len(WALKER_FAULTS)
    good = 1.0 - len(failures) / runs
    yield _figure(f"{len(WALKER_FAULTS)} faults at {MOMENTS} moments: in the specified state in time", good)
    yield _figure("time to the specified state, largest share of what is allowed", slowest, 1.0, "lower")
    wrong = len(outside + walk.audit.outside)
    yield _figure(f"commands outside limits, of {commands + walk.audit.seen}", wrong, 0.0, "lower")
    if os.environ.get("VM_BENCH_REAL_TIME", "1") != "0":
        yield from _real_time(seed)


def _figure(figure: str, value: float, goal: float = 1.0, better: str = "higher") -> dict:
    return {"figure": figure, "value": round(float(value), 4), "unit": "1", "goal": goal, "better": better}


def play(walk: Lockstep, fault: Fault) -> tuple[str, float]:
    """What went wrong, or "", and how long the way to the specified state took [s]."""
    walk.player.play(fault.name, walk.now_s)
    began_s, arrived_s = walk.now_s, None
    while walk.now_s - began_s < fault.within_s - 1e-9:
        walk.period()
        if fault.end == "DAMPING" and walk.state == State.DAMPING and arrived_s is None:
            arrived_s = walk.now_s
    took_s = 0.0 if arrived_s is None else arrived_s - began_s
    problem = _wrong_end(walk, fault)
    walk.run(AFTERWARDS_S)  # the state must last
    if not problem and walk.state.name != fault.end:
        problem = f"{walk.state.name} afterwards ({walk.controller.machine.cause})"
    return problem, took_s


def _wrong_end(walk: Lockstep, fault: Fault) -> str:
    cause = walk.controller.machine.cause
    if walk.state.name != fault.end:
        return f"{walk.state.name} after {fault.within_s} s ({cause or walk.controller.monitor.complaint})"
    if fault.end == "DAMPING" and not cause.startswith(fault.cause):
        return f"cause {cause!r}, expected {fault.cause!r}"
    command = walk.controller.command
    if np.any(command.value > command.upper + 1e-9) or np.any(command.value < command.lower - 1e-9):
        return f"command {command.value} outside its limits"
    if fault.name in ("command_stale", "command_nan") and np.abs(command.value).max() > STANDS_STILL:
        return f"command {command.value} has not decayed"
    return ""


def _real_time(seed: int) -> Iterator[dict]:
    """Simulator and node as processes, a fault each while it walks on the spot or stands in RUNNING."""
    failures, commands, bad = [], 0, 0
    with tempfile.TemporaryDirectory(prefix="vm-bench-") as name:
        folder = Path(name)
        import_unitree_rl_lab(shared("policies/unitree_g1_velocity")).write(folder / "velocity.onnx")
        SceneAsset().save(folder / "scene")
        for fault in map(find_fault, REAL_TIME):
            with listening(folder / f"{fault.name}.json") as seen:
                run_nodes(_nodes(folder, fault, seed))
            problem = _wrong_in_real_time(seen, fault)
            print(f"{fault.name} in real time: {problem or 'as specified'}", file=sys.stderr)
            failures += [problem] if problem else []
            commands, bad = commands + seen["commands"], bad + seen["bad_commands"]
    runs = len(REAL_TIME)
    yield _figure(f"{runs} faults through the running nodes: in the specified state in time", 1 - len(failures) / runs)
    yield _figure(f"commands outside limits in real time, of {commands}", bad, 0.0, "lower")


def _nodes(folder: Path, fault: Fault, seed: int) -> list[NodeSpec]:
    end_s = REAL_FAULT_AT_S + fault.within_s + 1.0
    simulator = {"scene": str(folder / "scene"), "duration_s": end_s, "seed": seed}
    played = {"fault": fault.name, "fault_at_s": REAL_FAULT_AT_S}
    controller = {"policy": str(folder / "velocity.onnx"), "auto_stand": True, "auto_run": True, "echo_tick": True}
    # the machine's pace is the question of other benchmarks
    controller |= {"late_cycle_s": 1.0, "late_share": 1.0, "state_lag_s": 5.0, "state_timeout_s": 0.3}
    return [
        NodeSpec("vm_sim", "vm_sim", "vm-sim", simulator | played, ends_all=True),
        NodeSpec("vm_policy_node", "vm_policy_node", "vm-policy-node", controller, own_core=True),
    ]


def _wrong_in_real_time(seen: dict, fault: Fault) -> str:
    """What went wrong, or ""; the simulated robot's own clock says when the fault began."""
    before = [time_s for tick, time_s in seen["arrivals"] if tick <= 1000 * REAL_FAULT_AT_S]
    began_s = max(before, default=float("nan"))
    changes = [change for change in seen["changes"] if change[0] <= began_s]
    if not changes or changes[-1][1] != State.RUNNING:
        return f"it did not run when the fault began: {changes[-1:]}"
    after = [change for change in seen["changes"] if change[0] > began_s and change[2] != "operator"]
    if fault.end == "RUNNING":
        return f"left RUNNING: {after[0][2]}" if after else ""
    if not after or after[0][1] != State.DAMPING or not after[0][2].startswith(fault.cause):
        return f"expected {fault.cause!r}, came {after[:1]}"
    late_s = after[0][0] - began_s - fault.within_s - REAL_SLACK_S
    return f"{late_s:.2f} s too late" if late_s > 0.0 else ""
