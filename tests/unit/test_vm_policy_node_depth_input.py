"""Visual policies: which folders are refused, which pictures are, and what the robot sees of the floor."""

from dataclasses import replace

import numpy as np
import pytest
import visual_cases as cases

from vm_core import frames, g1
from vm_core.depth_image import DepthSpec
from vm_core.errors import VmError
from vm_core.visual_bundle import GENERATOR_FILE, GENERATOR_KEY, TRACKER_FILE, GoldenCommand
from vm_policy_node.onnx_policy import OnnxPolicy
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
        ({"golden": GoldenCommand((0.0,) * 3600, (0.0,) * 80, (1.0,) * 18, 1e6)}, "tolerance is 1000000.0"),
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
