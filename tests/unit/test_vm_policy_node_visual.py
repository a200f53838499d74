"""Visual policies in the controller: what the tracker is told, what damps, the run bit."""

from dataclasses import replace
from pathlib import Path

import controller_cases as messages
import numpy as np
import pytest
import visual_cases as cases

import vm_policy_node
from vm_core import frames
from vm_core.depth_image import DepthSpec
from vm_core.remote import RemoteState
from vm_policy_node.automation import Automation
from vm_policy_node.controller import Controller
from vm_policy_node.safety import State
from vm_policy_node.visual.visual_policy import load_policy

SPEC = DepthSpec()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return cases.write_bundle(tmp_path_factory.mktemp("bundle") / "push")


@pytest.fixture(scope="module")
def view():
    return cases.View()


class Run:
    """A controller with a visual policy, told of states at 50 Hz and pictures at 25 Hz."""

    def __init__(self, folder, view) -> None:
        self.controller = Controller(load_policy(folder))
        self.now, self.count = 0.0, 0
        self.picture, self.empty = view.picture(), view.picture(empty=True)
        self.rng, self.shown = np.random.default_rng(0), self.picture
        assert self.controller.depth_input is not None
        self.depth = self.controller.depth_input

    def go(self, seconds: float, *, pictures=True, info=cases.INFO, change=None, quat=(1.0, 0, 0, 0), remote=None):
        record = None
        for _ in range(round(seconds / 0.02)):
            self.now += 0.02
            self.count += 1
            tick = 20 * self.count
            self.controller.on_low_state(messages.low_state(tick=tick, quat=quat, remote=remote), self.now)
            if pictures and self.count % 2:
                noise = self.rng.integers(0, 3, self.shown.shape).astype(np.uint16)
                message = cases.raw(np.where(self.shown > 0, self.shown + noise, 0))
                self.depth.on_info(info)
                self.depth.on_picture(message if change is None else replace(message, **change), self.now)
            record = self.controller.step(self.now)
        return record

    def running(self) -> "Run":
        self.go(0.5)
        assert self.controller.request("stand", self.now).accepted, self.controller.obstacle
        self.go(2.2)
        assert self.controller.request("run", self.now).accepted
        self.go(0.3)
        assert self.controller.machine.state == State.RUNNING, self.controller.machine.cause
        return self


def test_the_tracker_gets_the_generator_s_command_clamped_and_with_its_history(folder, view):
    run = Run(folder, view).running()
    runner = run.controller.runner
    statistics = runner.contract.command_statistics
    picture = run.depth.picture.depth
    assert np.all(np.abs(runner.command) <= statistics.bounds[1] + 1e-12)
    expected = 0.1 * float(np.mean(SPEC.scaled(picture)))
    assert runner.command[0] == pytest.approx(expected, abs=0.02)
    before = runner.command[1]
    run.controller.request("task", run.now)
    run.go(0.1)
    assert runner.command[1] - before == pytest.approx(0.01, abs=0.002)  # the run bit's column


def test_no_picture_no_start(folder, view):
    run = Run(folder, view)
    run.go(0.5, pictures=False)
    assert not run.controller.request("stand", run.now).accepted
    assert "stale depth: none received" in (run.controller.obstacle or "")


def test_a_silent_camera_damps(folder, view):
    run = Run(folder, view).running()
    run.go(0.15, pictures=False)
    assert run.controller.machine.state == State.RUNNING
    run.go(0.15, pictures=False)
    assert run.controller.machine.state == State.DAMPING
    assert run.controller.machine.cause.startswith("stale depth")


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"encoding": "bgr8"}, "depth: pictures come as 'bgr8'"),
        (
            {"width": 212, "height": 120, "step": 424},
            "depth: depth picture of 212×120 px; its camera info says 424×240",
        ),
        ({"data": bytes(2 * 424 * 240)}, "depth: the picture is all zeros"),
        ({"encoding": "32FC1", "step": 1696, "data": np.full(101760, np.nan, "<f4").tobytes()}, "depth: not one pixel"),
    ],
)
def test_bad_pictures_damp_and_say_why(folder, view, change, cause):
    run = Run(folder, view).running()
    run.go(0.4, change=change)
    assert run.controller.machine.state == State.DAMPING
    assert run.controller.machine.cause.startswith(cause), run.controller.machine.cause


def test_a_frozen_or_upside_down_camera_damps(folder, view):
    run = Run(folder, view).running()
    run.go(0.8, change={"data": cases.raw(view.picture()).data})
    assert run.controller.machine.cause.startswith("frozen depth")
    run = Run(folder, view).running()
    run.shown = run.empty[::-1, ::-1]
    run.go(0.8)
    assert run.controller.machine.state == State.RUNNING
    run.go(0.6)
    assert run.controller.machine.cause.startswith("depth: ") and "below the floor" in run.controller.machine.cause


def test_the_run_bit_is_off_at_the_start_and_set_by_people_only(folder, view):
    run = Run(folder, view)
    run.go(0.5)
    assert not run.controller.request("task", run.now).accepted  # not before it runs
    run.running()
    assert not run.controller.task.on
    run.go(0.04, remote=RemoteState(pressed=frozenset({"R1"})))
    assert run.controller.task.on
    run.go(0.04, remote=RemoteState(pressed=frozenset({"L1"})))
    assert not run.controller.task.on
    assert run.controller.request("task", run.now).accepted and run.controller.task.on
    assert run.controller.request("pause", run.now).accepted and not run.controller.task.on
    run.controller.request("task", run.now)
    run.controller.request("damp", run.now)
    run.go(0.02)
    assert not run.controller.task.on


def test_out_of_view_for_five_seconds_it_stands_still_until_it_is_told_again(folder, view):
    run = Run(folder, view).running()
    run.controller.request("task", run.now)
    run.go(6.0)
    assert run.controller.task.on
    run.shown = run.empty
    run.go(4.7)
    assert run.controller.task.on
    run.go(0.6)
    assert not run.controller.task.on and "nothing in view for 5.0 s" in run.controller.task.reason
    assert run.controller.machine.state == State.RUNNING
    run.shown = run.picture
    run.go(1.0)
    assert not run.controller.task.on


def test_a_lift_goes_on_without_pictures():
    """What is held covers the camera; before, a silent camera damps, and nothing in view ends the task."""
    lift = Path(vm_policy_node.__file__).parent / "policies" / "lift_box"
    for begun, ends in ((False, State.DAMPING), (True, State.RUNNING)):
        run = Run(lift, cases.View("lift_box")).running()
        run.controller.request("task", run.now)
        lifting = run.controller.runner._lifting
        assert lifting is not None
        lifting.begun[:] = begun
        run.go(0.5, pictures=False)
        assert run.controller.machine.state == ends, run.controller.machine.cause
    run.shown = run.empty
    run.go(5.5)
    assert run.controller.task.on


def test_headings_count_from_the_moment_it_began(folder, view):
    """The same motion with the inertial unit's zero anywhere gives the same commands."""
    given = []
    for zero in (0.0, 2.5):
        run = Run(folder, view)
        quats = [tuple(frames.quat_from_yaw(np.array(zero + turn))) for turn in (0.0, 0.3)]
        run.go(0.5, quat=quats[0])
        run.controller.request("stand", run.now)
        run.go(2.2, quat=quats[0])
        assert run.controller.request("run", run.now).accepted, run.controller.monitor.trip
        run.go(0.2, quat=quats[0])
        run.go(0.2, quat=quats[1])
        given.append(run.controller.runner.command.copy())
    np.testing.assert_allclose(given[0], given[1], atol=1e-6)


def test_in_simulation_the_task_begins_by_itself(folder, view):
    run, automation = Run(folder, view), Automation(stand=True, run=True, task=True)
    seen = []
    for _ in range(round(8.0 / 0.02)):
        run.go(0.02)
        automation.update(run.controller, run.now)
        seen.append((run.controller.machine.state, run.controller.task.on))
    began = next(k for k, (state, _) in enumerate(seen) if state == State.RUNNING)
    on = next(k for k, (_, on) in enumerate(seen) if on)
    assert 0.02 * (on - began) == pytest.approx(2.0, abs=0.1)


def test_a_rehearsal_has_no_consequences(folder, view):
    plain, rehearsing = Run(folder, view).running(), Run(folder, view).running()
    for _ in range(20):
        rehearsing.controller.rehearse(rehearsing.now)
        records = [run.go(0.02) for run in (plain, rehearsing)]
        assert records[0].tobytes() == records[1].tobytes()
