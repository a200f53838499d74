"""Visual policies: what the loader refuses, what pictures are refused, what the robot sees, and what it then does."""

from dataclasses import replace

import controller_cases as messages
import numpy as np
import pytest
import visual_cases as cases

from vm_core import frames, g1
from vm_core.depth_image import DepthSpec
from vm_core.errors import VmError
from vm_core.remote import RemoteState
from vm_core.visual_bundle import GENERATOR_FILE, GENERATOR_KEY, TRACKER_FILE, GoldenCommand
from vm_policy_node.automation import Automation
from vm_policy_node.controller import Controller
from vm_policy_node.onnx_policy import OnnxPolicy
from vm_policy_node.safety import State
from vm_policy_node.visual.depth_input import DepthInput, PictureFilter
from vm_policy_node.visual.floor_view import FloorCheck
from vm_policy_node.visual.task_switch import IN_VIEW
from vm_policy_node.visual.visual_policy import VisualPolicy, load_policy

SPEC = DepthSpec()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return cases.write_bundle(tmp_path_factory.mktemp("bundle") / "push")


@pytest.fixture(scope="module")
def view():
    return cases.View()


# -- the folder ------------------------------------------------------------------------------------------------------


def test_a_sound_folder_loads_and_its_tracker_alone_is_refused(folder):
    policy = load_policy(folder)
    assert isinstance(policy, VisualPolicy)
    assert policy.name == "tiny push" and policy.contract.name == "tracker"
    with pytest.raises(VmError, match="reads keypoint_command, which a generator gives"):
        OnnxPolicy.load(folder / TRACKER_FILE)


def test_halves_that_disagree_are_refused_by_name(tmp_path):
    mine, other = cases.tracker_bytes(), cases.tracker_bytes(scale=0.03)
    mixed = cases.write_bundle(tmp_path / "mixed", other, cases.generator_bytes(mine))
    with pytest.raises(VmError, match="mixed: the two halves disagree: generator.onnx was trained over tracker"):
        load_policy(mixed)
    lonely = cases.write_bundle(tmp_path / "lonely")
    (lonely / GENERATOR_FILE).unlink()
    with pytest.raises(VmError, match="no generator.onnx"):
        load_policy(lonely)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"depth": replace(SPEC, width=64)}, "depth is tensor.*the contract says tensor.float. .1, 45, 64"),
        ({"observation": cases.GENERATOR_TERMS[:2]}, "observation is"),
        ({"golden": None}, "no golden pair"),
        ({"golden": GoldenCommand((0.0,) * 3600, (0.0,) * 80, (1.0,) * 18)}, "golden pair differs, number 0"),
        ({"inputs": ("image", "observation")}, "inputs image, observation; expected depth, observation"),
    ],
)
def test_generators_that_are_not_what_they_say_are_named(tmp_path, change, named):
    tracker = cases.tracker_bytes()
    folder = cases.write_bundle(tmp_path / "bad", tracker, cases.generator_bytes(tracker, **change))
    with pytest.raises(VmError, match=named):
        load_policy(folder)


@pytest.mark.parametrize("which", [GENERATOR_FILE, TRACKER_FILE])
@pytest.mark.parametrize("damage", [b"", b"\x80\x04pickle", b"nonsense", None])
def test_damaged_halves_are_user_errors(tmp_path, which, damage):
    folder = cases.write_bundle(tmp_path / "damaged")
    data = (folder / which).read_bytes()
    (folder / which).write_bytes(data[: len(data) // 2] if damage is None else damage)
    with pytest.raises(VmError):
        load_policy(folder)
    (folder / which).write_bytes(data.replace(GENERATOR_KEY.encode(), b"x" * len(GENERATOR_KEY)))
    if which == GENERATOR_FILE:
        with pytest.raises(VmError, match="no generator contract"):
            load_policy(folder)


# -- pictures --------------------------------------------------------------------------------------------------------


def camera(spec: DepthSpec = SPEC) -> DepthInput:
    depth = DepthInput(spec)
    depth.on_info(cases.INFO)
    return depth


def test_the_realsense_s_picture_is_what_the_network_would_have_rendered(view):
    """The 424×240 picture reduced to 80×45 against a picture rendered at 80×45, away from edges."""
    from vm_sim.depth_shapes import DepthCamera

    depth = camera()
    depth.on_picture(cases.raw(view.picture()), 1.0)
    assert depth.problem == "" and depth.picture is not None and depth.age_s(1.5) == 0.5
    wanted = DepthCamera([view.model], SPEC).render(view.qpos[None])[0]
    near = (wanted < 1.9) & (depth.picture.depth < 1.9)
    off = np.abs(depth.picture.depth - wanted)[near]
    assert np.median(off) < 0.002 and np.percentile(off, 90) < 0.02
    assert near.mean() > 0.5


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"encoding": "rgb8"}, "come as 'rgb8'; expected 16UC1"),
        ({"width": 400, "step": 800}, "400×240 px; its camera info says 424×240"),
        ({"step": 100}, "100 a row; expected 848 a row"),
        ({"data": b"\x01"}, "in 1 bytes"),
        ({"data": bytes(2 * 424 * 240)}, "all zeros"),
        ({"encoding": "32FC1", "step": 4 * 424, "data": np.full(424 * 240, np.nan, "<f4").tobytes()}, "a number"),
    ],
)
def test_bad_pictures_are_named_and_change_nothing(view, change, named):
    depth, good = camera(), cases.raw(view.picture())
    depth.on_picture(good, 1.0)
    before = depth.picture
    depth.on_picture(replace(good, **change), 2.0)
    assert depth.picture is before and depth.time_s == 1.0
    assert __import__("re").search(named, depth.problem), depth.problem
    depth.on_picture(good, 3.0)
    assert depth.problem == "" and depth.time_s == 3.0


def test_metres_and_big_endian_pictures_are_the_same(view):
    picture = view.picture()
    wanted, floats, swapped = camera(), camera(), camera()
    wanted.on_picture(cases.raw(picture), 0.0)
    metres = (0.001 * picture).astype("<f4")
    metres[0, 0] = np.inf
    floats.on_picture(replace(cases.raw(picture), encoding="32FC1", step=4 * 424, data=metres.tobytes()), 0.0)
    swapped.on_picture(replace(cases.raw(picture), big_endian=True, data=picture.astype(">u2").tobytes()), 0.0)
    assert wanted.picture and floats.picture and swapped.picture
    np.testing.assert_allclose(floats.picture.depth, wanted.picture.depth, atol=1e-3)
    np.testing.assert_array_equal(swapped.picture.depth, wanted.picture.depth)


def test_without_camera_info_or_with_a_narrow_camera_nothing_is_taken(view):
    depth = DepthInput(SPEC)
    depth.on_picture(cases.raw(view.picture()), 0.0)
    assert "no camera info" in depth.problem and depth.picture is None
    depth.on_info((640, 480, 900.0, 900.0, 320.0, 240.0))
    depth.on_picture(cases.raw(view.picture()), 0.0)
    assert "wide" in depth.problem and depth.picture is None


def test_the_filter_steadies_noise_keeps_motion_and_closes_holes():
    rng, filtered = np.random.default_rng(0), PictureFilter()
    noisy = [np.float32(1.0) + 0.01 * rng.standard_normal((45, 80)).astype(np.float32) for _ in range(30)]
    seen = [filtered.update(picture) for picture in noisy]
    assert np.std(seen[-1]) < 0.75 * np.std(noisy[-1])
    moved = filtered.update(np.full((45, 80), 0.5, np.float32))
    np.testing.assert_array_equal(moved, 0.5)  # a jump shows at once
    holes = np.full((45, 80), 0.5, np.float32)
    holes[10, 10], holes[20:30, 20:30] = 0.0, 0.0
    for k in range(4):
        seen = filtered.update(holes)
        assert seen[10, 10] == pytest.approx(0.5)  # a small hole is closed
        assert (seen[25, 25] == 0.0) == (k >= 2)  # a large one shows after two pictures


# -- the floor -------------------------------------------------------------------------------------------------------


def looked(view, picture: np.ndarray, quat: np.ndarray | None = None):
    depth = camera()
    depth.on_picture(cases.raw(picture), 0.0)
    assert depth.picture is not None, depth.problem
    quat = view.qpos[3:7] if quat is None else quat
    return FloorCheck(SPEC).look(depth.picture.depth, view.qpos[7:36], quat)


@pytest.mark.parametrize("task", ["push_box", "kick_box", "kick_ball", "push_cube"])
def test_the_object_is_in_view_and_the_floor_is_where_it_should_be(task):
    view = cases.View(task)
    with_object, without = looked(view, view.picture()), looked(view, view.picture(empty=True))
    assert with_object.standing > 2 * IN_VIEW and with_object.below < 0.01
    if task != "push_cube":  # its table stays
        assert without.standing < IN_VIEW and without.below < 0.01


def test_arms_before_the_camera_are_no_object(view):
    reaching = view.qpos.copy()
    for side in ("left", "right"):
        reaching[7 + g1.motor_index(f"{side}_shoulder_pitch_joint")] = -0.9
        reaching[7 + g1.motor_index(f"{side}_elbow_joint")] = 0.2
    depth = camera()
    depth.on_picture(cases.raw(view.picture(empty=True, qpos=reaching)), 0.0)
    assert depth.picture is not None and depth.picture.depth.min() < 0.5  # the arms are seen
    assert FloorCheck(SPEC).look(depth.picture.depth, reaching[7:36], reaching[3:7]).standing < IN_VIEW


def test_a_leaning_robot_s_floor_fits_and_an_upside_down_camera_s_does_not(view):
    lean = frames.quat_from_rotvec(np.array([0.1, 0.2, 2.0]))
    leaning = view.qpos.copy()
    leaning[3:7] = lean
    shown = looked(view, view.picture(empty=True, qpos=leaning), lean)
    assert shown.below < 0.02 and shown.standing < IN_VIEW
    upside_down = looked(view, view.picture(empty=True)[::-1, ::-1])
    assert upside_down.below > 0.25
    tilted = cases.View(tilt_rad=SPEC.tilt_rad + np.radians(5.0))
    assert looked(view, tilted.picture(empty=True)).below < 0.01  # the mount's five degrees are no fault


# -- the controller --------------------------------------------------------------------------------------------------


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
