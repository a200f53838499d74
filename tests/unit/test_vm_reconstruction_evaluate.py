"""The evaluation must see the errors that are there, and none that a choice of world makes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vm_core.errors import VmError
from vm_core.scene_asset import SceneAsset
from vm_reconstruction.demo.make_demo_video import DEMO_FOLDER, TRUTH_NAME
from vm_reconstruction.evaluate import Alignment, align, compare, evaluate, load_truth
from vm_reconstruction.evaluation.treads import edge_errors, match_steps
from vm_reconstruction.human_motion import HumanMotion

TRUTH_FILE = DEMO_FOLDER / TRUTH_NAME
TRUTH, BOXES = load_truth(TRUTH_FILE)


def _moved(motion: HumanMotion, yaw: float, shift: tuple[float, float, float], scale: float = 1.0) -> HumanMotion:
    return replace(motion, joint_pos_world=Alignment(yaw, np.array(shift)).apply(scale * motion.joint_pos_world))


@settings(max_examples=20)
@given(st.floats(-3.1, 3.1), st.tuples(*[st.floats(-5, 5)] * 3))
def test_another_world_frame_is_no_error(yaw: float, shift: tuple[float, float, float]) -> None:
    errors = compare(_moved(TRUTH, yaw, shift), TRUTH, None, [])
    assert max(errors.pelvis_error_m, errors.joint_error_m, errors.scale_error, errors.body_scale_error) < 1e-9
    assert errors.contact_agreement == 1.0


def test_scale_is_measured_and_not_aligned_away() -> None:
    errors = compare(_moved(TRUTH, 0.7, (1, 2, 0), 1.1), TRUTH, None, [])
    assert errors.scale_error == pytest.approx(0.1, abs=1e-6)
    assert errors.body_scale_error == pytest.approx(0.1, abs=1e-6)
    assert errors.pelvis_error_m > 0.05


def test_joint_error_is_root_aligned() -> None:
    joints = TRUTH.joint_pos_world.copy()
    joints[:, 4, 0] += 0.23
    errors = compare(replace(TRUTH, joint_pos_world=joints), TRUTH, None, [])
    assert errors.joint_errors_m[TRUTH.joint_names[4]] == pytest.approx(0.23)
    assert errors.joint_error_m == pytest.approx(0.23 / (len(TRUTH.joint_names) - 1))
    assert errors.pelvis_error_m < 1e-12


def test_other_frame_rate_is_compared_in_time() -> None:
    half = replace(
        TRUTH, fps=TRUTH.fps / 2, joint_pos_world=TRUTH.joint_pos_world[::2], contact=TRUTH.contact[::2],
        joint_quat_wxyz_world=TRUTH.joint_quat_wxyz_world[::2], confidence=TRUTH.confidence[::2],
    )  # fmt: skip
    assert compare(half, TRUTH, None, []).pelvis_error_m < 1e-9


def test_steps_are_matched_by_height() -> None:
    higher = [replace(b, center_world=(*b.center_world[:2], b.center_world[2] + 0.02), label="step") for b in BOXES[:2]]
    pairs = match_steps(SceneAsset(boxes=tuple(higher)), BOXES)
    assert [round(a - b, 6) for a, b in pairs] == [0.02, 0.02]


def test_alignment_turns_only_about_the_vertical() -> None:
    path = TRUTH.joint("pelvis")
    tilt = np.array([[1, 0, 0.1], [0, 1, 0], [-0.1, 0, 1]])
    moved = align(path @ tilt.T, path).apply(path @ tilt.T)
    assert np.linalg.norm(moved - path, axis=1).max() > 0.02


def test_folder_is_evaluated_and_written(tmp_path: Path) -> None:
    _moved(TRUTH, 0.3, (0, 0, 0)).save(tmp_path / "human.npz")
    errors = evaluate(tmp_path, TRUTH_FILE)
    assert errors.steps_found == 0 and errors.step_height_error_m is None
    assert json.loads((tmp_path / "evaluation.json").read_text())["pelvis_error_m"] < 1e-9


def test_wrong_inputs_are_named(tmp_path: Path) -> None:
    with pytest.raises(VmError, match=r"human\.npz"):
        evaluate(tmp_path, TRUTH_FILE)
    (tmp_path / "bad.npz").write_bytes(b"no")
    with pytest.raises(VmError, match="not a human motion"):
        load_truth(tmp_path / "bad.npz")


def test_edges_are_measured_along_the_way() -> None:
    def stairs(edge_m: float, rise_m: float):
        def height(xy: np.ndarray) -> np.ndarray:
            return rise_m * np.clip(np.floor((xy[:, 0] - edge_m) / 0.3) + 1, 0, 3)

        return height

    way = np.array([[-1.0, 0.0], [0.5, 0.2], [2.0, 0.0]])
    count, errors = edge_errors(way, stairs(0.0, 0.15), stairs(0.03, 0.17))
    assert count == 3
    np.testing.assert_allclose(errors, 0.03, atol=0.006)
    count, errors = edge_errors(way, stairs(0.0, 0.15), stairs(0.0, 0.01))
    assert (count, errors) == (3, [])  # no edge high enough was found
