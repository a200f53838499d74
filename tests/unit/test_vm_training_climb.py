"""The whole task at the smallest size: every stage for real, a teacher that is given."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import vm_training_cases as cases

from vm_core.errors import VmError
from vm_policy_node.onnx_policy import OnnxPolicy
from vm_training import export
from vm_training.tasks import climb, climb_checks, tracker
from vm_training.tasks.distillation import DistillationConfig
from vm_training.tasks.work_folder import WorkFolder
from vm_training.teachers.sampled_lqr import LqrTeacher, TeacherRound

DISTILLATION = DistillationConfig(rounds=3, steps_a_round=120, epochs=1, longest_rollout=20, hold_s=0.2)
CONFIG = climb.ClimbConfig(gait=cases.GAIT, distillation=DISTILLATION, num_envs=4, threads=1)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """The shared reference, a given teacher, few checks; only the test of the file itself exports one."""
    silent = LqrTeacher(np.full((cases.climb_clip().num_frames, 23, 59), 0.001))
    monkeypatch.setattr(climb, "plan_reference", lambda *_: cases.planned())
    monkeypatch.setattr(tracker, "train_lqr", lambda *_: (silent, [TeacherRound(1, 0.9, 5.0)]))
    monkeypatch.setattr(tracker, "evaluate_student", lambda *_, **__: [])
    monkeypatch.setattr(tracker, "export_policy", lambda *_: None)


def trained(path: Path, config: climb.ClimbConfig = CONFIG) -> dict[str, np.ndarray]:
    """All that the student's file holds after the task."""
    folder = WorkFolder(path / "work")
    climb.train_climb(cases.stairs(), config, folder, path / "policy.onnx", "small")
    return folder.read_arrays("student.npz")


def assert_same(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        np.testing.assert_array_equal(value, theirs[name], err_msg=name)


def test_a_run_leaves_a_policy_that_the_node_accepts(tmp_path, monkeypatch):
    monkeypatch.setattr(tracker, "evaluate_student", partial(climb_checks.evaluate_student, starts=2))
    monkeypatch.setattr(climb_checks, "CONDITIONS", {"nominal": climb_checks.CONDITIONS["nominal"]})
    monkeypatch.setattr(tracker, "export_policy", export.export_policy)
    student = trained(tmp_path)
    policy, folder = OnnxPolicy.load(tmp_path / "policy.onnx"), WorkFolder(tmp_path / "work")
    assert student["lessons_observation"].shape == (360, 108)
    assert [r["steps"] for r in folder.read_json("student.json")] == [120, 240, 360]
    checks = policy.contract.training["checks"]
    assert checks == folder.read_json("evaluation.json")
    assert checks[0]["condition"] == "nominal" and checks[0]["starts"] == 2 and 0.1 < checks[0]["upright_s"] < 7.0
    assert policy.clip is not None
    np.testing.assert_array_equal(policy.clip.joint_pos, cases.climb_clip().joint_pos)


@pytest.mark.parametrize(("written", "name"), [(1, "student.npz"), (1, "student.json"), (2, "student.npz")])
def test_a_killed_run_goes_on_to_the_very_same_student(tmp_path, monkeypatch, written, name):
    """Wherever it was killed, also between the record of a round and its weights."""
    whole, count = trained(tmp_path / "whole"), 0

    def killing(original):
        def write(self, file_name, value):
            nonlocal count
            if file_name == name:
                count += 1
                if count > written:
                    raise KeyboardInterrupt
            original(self, file_name, value)

        return write

    with monkeypatch.context() as patch:
        patch.setattr(WorkFolder, "write_arrays", killing(WorkFolder.write_arrays))
        patch.setattr(WorkFolder, "write_json", killing(WorkFolder.write_json))
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path)
    assert_same(trained(tmp_path), whole)
    records = [WorkFolder(p / "work").read_json("student.json") for p in (tmp_path, tmp_path / "whole")]
    assert records[0] == records[1]


def test_a_finished_run_is_not_trained_again(tmp_path, monkeypatch):
    first = trained(tmp_path)
    monkeypatch.setattr(climb, "plan_reference", None)
    for stage in ("train_lqr", "gather"):
        monkeypatch.setattr(tracker, stage, None)
    assert_same(trained(tmp_path), first)


def test_other_settings_are_another_student(tmp_path):
    first = trained(tmp_path)
    second = trained(tmp_path, replace(CONFIG, seed=7))
    assert not np.array_equal(first["layers.0.weight"], second["layers.0.weight"])


def test_a_teacher_that_falls_is_no_teacher(tmp_path, monkeypatch):
    weak = [TeacherRound(10, 0.1, 1.0), TeacherRound(20, 0.25, 2.0)]
    monkeypatch.setattr(tracker, "train_lqr", lambda *_: (LqrTeacher(np.zeros((1, 23, 59))), weak))
    with pytest.raises(VmError, match="reaches the end in 25% of its runs; expected at least 50%"):
        trained(tmp_path)
    assert not (tmp_path / "policy.onnx").exists() and not (tmp_path / "work" / "teacher.npz").exists()
