"""Two hours of walking commands: the state machine stays where it is, memory stays flat, no deadline is missed.

In lockstep, faster than real time, by default (`VM_BENCH_SOAK_S` seconds, 7200; 0: not). `VM_BENCH_SOAK_REAL_S`
seconds, none by default, run through the nodes in real time afterwards: the figures on deadlines that count on a quiet
machine. A line a minute says how it goes; Ctrl-C ends it with the figures so far. `VM_BENCH_SOAK_HANGS=1`: the robot
stays on its gantry and the time limits are wide, where other work makes the simulation too slow to walk in.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from lockstep import Lockstep
from loop_timing import listening
from shared_data import shared
from walking_script import WalkingScript

from vm_core.ros_environment import ros_environment
from vm_core.scene_asset import SceneAsset
from vm_policy_node.bringup.nodes import NodeSpec
from vm_policy_node.bringup.processes import run_nodes
from vm_policy_node.flight_recorder import FlightRecorder
from vm_policy_node.importers.unitree_rl_lab import import_unitree_rl_lab
from vm_policy_node.safety import State

LOCKSTEP_S = float(os.environ.get("VM_BENCH_SOAK_S", "7200"))
REAL_S = float(os.environ.get("VM_BENCH_SOAK_REAL_S", "0"))
HANGS = os.environ.get("VM_BENCH_SOAK_HANGS", "") == "1"
WIDE = {"late_cycle_s": 1.0, "late_share": 1.0, "state_timeout_s": 1.0, "state_lag_s": 1.0}
PARTS = 50
DEADLINE_MS, MEMORY_EVERY_S = 20.0, 5.0
MACHINE_S = 0.2
"""Periods that both miss within so long: the machine stood still."""
FILLING_S = 50.0
"""For so long memory may grow: the flight recorder keeps half a minute of everything."""
DRIVER = Path(__file__).with_name("walk_driver.py")


def figures(seed: int) -> Iterator[dict]:
    """Lockstep, then real time if asked for."""
    if LOCKSTEP_S > 0.0:
        yield from _lockstep(seed)
    if REAL_S > 0.0:
        with tempfile.TemporaryDirectory(prefix="vm-bench-") as folder:
            yield from _real_time(Path(folder), seed)


def _figure(figure: str, value: float, unit: str, goal: float) -> dict:
    return {"figure": figure, "value": round(float(value), 4), "unit": unit, "goal": goal, "better": "lower"}


def _lockstep(seed: int) -> Iterator[dict]:
    script = WalkingScript(seed)
    walk = Lockstep(script, seed)
    recorder = FlightRecorder(Path(tempfile.gettempdir()))
    walk.start()
    restless, memory_mb = 0.0, []
    for part in range(PARTS):
        until_s = walk.now_s + LOCKSTEP_S / PARTS
        while walk.now_s < until_s and walk.state == State.RUNNING:
            walk.period()
            stamp_ns = round(1e9 * walk.now_s)
            recorder.add("/lowstate", "unitree_hg/msg/LowState", stamp_ns, walk.robot.low_state().tobytes())
            if script.rests(walk.now_s):
                restless = max(restless, float(np.abs(walk.controller.command.value).max()))
        gc.collect()
        memory_mb.append(_rss_mb(os.getpid()))
        print(f"{part + 1}/{PARTS}: {walk.state.name}, {memory_mb[-1]:.1f} MB", file=sys.stderr)
    hours = LOCKSTEP_S / 3600.0
    text = f"{LOCKSTEP_S / 3600.0:.2g} h of walking commands in lockstep"
    yield _figure(f"{text}: left RUNNING", walk.state != State.RUNNING, "1", 0.0)
    yield _figure(f"{text}: commands outside limits, of {walk.audit.seen}", len(walk.audit.outside), "1", 0.0)
    yield _figure(f"{text}: largest command left at rest", restless, "m/s", 0.01)
    settled = memory_mb[PARTS // 5 :]
    slope = np.polyfit(np.linspace(0.2 * hours, hours, len(settled)), settled, 1)[0]
    yield _figure(f"{text}: growth of memory", slope, "MB/h", 2.0)


def _real_time(folder: Path, seed: int) -> Iterator[dict]:
    policy, scene = folder / "velocity.onnx", folder / "scene"
    import_unitree_rl_lab(shared("policies/unitree_g1_velocity")).write(policy)
    SceneAsset().save(scene)
    simulator = {"scene": str(scene), "duration_s": REAL_S, "seed": seed, "gantry_stays": HANGS}
    controller = {"policy": str(policy), "auto_stand": True, "auto_run": True, "echo_tick": True}
    nodes = [
        NodeSpec("vm_sim", "vm_sim", "vm-sim", simulator, ends_all=True),
        NodeSpec(
            "vm_policy_node",
            "vm_policy_node",
            "vm-policy-node",
            controller | (WIDE if HANGS else {}),
            own_core=True,
        ),
    ]
    memory: dict[str, list[float]] = {}
    with listening(folder / "seen.json") as seen:
        environment = ros_environment() | {"ROS_DOMAIN_ID": os.environ["ROS_DOMAIN_ID"]}
        driver = subprocess.Popen([sys.executable, str(DRIVER), str(seed)], env=environment)
        over = threading.Event()
        watcher = threading.Thread(target=_watch_memory, args=(memory, over))
        watcher.start()
        began_s = time.monotonic()
        try:
            run_nodes(nodes)
        except KeyboardInterrupt:
            print("ended early", file=sys.stderr)
        finally:
            ran_s = time.monotonic() - began_s
            over.set()
            watcher.join()
            driver.terminate()
            driver.wait(timeout=10)
    text = f"{ran_s / 3600.0:.2f} h in real time{', hanging' if HANGS else ''}"
    missed, bare = np.array(seen["missed_s"]), np.array(seen["bare_missed_s"])
    both = sum(bool(np.any(np.abs(bare - at_s) < MACHINE_S)) for at_s in missed)
    many = f"deadlines missed by over {DEADLINE_MS:.0f} ms, of {len(seen['period_ms'])}"
    yield _figure(f"{text}: {many}; a bare echo beside it {len(bare)}", len(missed), "1", 0.0)
    yield _figure(f"{text}: of these while the bare echo missed none", len(missed) - both, "1", 0.0)
    yield _figure(f"{text}: share of it not RUNNING", 1.0 - 0.001 * sum(seen["period_ms"]) / ran_s, "1", 0.1)
    changes = _after_running(seen["changes"])
    told = ", ".join(f"{State(state).name} {cause}".strip() for _, state, cause in changes)
    unasked = sum(cause != "operator" for _, _, cause in changes)
    yield _figure(f"{text}: changes of state that nobody asked for, of ({told})", unasked, "1", 0.0)
    for name, values in memory.items():
        settled = values[max(len(values) // 5, round(FILLING_S / MEMORY_EVERY_S)) :]
        if len(settled) < 3:
            continue
        hours = np.arange(len(settled)) * MEMORY_EVERY_S / 3600.0
        yield _figure(f"{text}: growth of memory of {name}", np.polyfit(hours, settled, 1)[0], "MB/h", 2.0)


def _after_running(changes: list) -> list:
    """Changes (time [s], state, cause) since it first ran, or all; the operator's stop at the end is one."""
    running = [k for k, (_, state, _) in enumerate(changes) if state == State.RUNNING]
    return changes[running[0] + 1 :] if running else changes


def _watch_memory(memory: dict[str, list[float]], over: threading.Event) -> None:
    while not over.wait(MEMORY_EVERY_S):
        for name, pid in _children():
            memory.setdefault(name, []).append(_rss_mb(pid))


def _children() -> Iterator[tuple[str, int]]:
    """Node processes that this one has started."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
            command = (path.parent / "cmdline").read_bytes().decode()
        except OSError:
            continue
        name = next((name for name in ("vm-sim", "vm-policy-node") if name in command), "")
        if name and int(fields[1]) == os.getpid():
            yield name, int(path.parent.name)


def _rss_mb(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return float("nan")
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
