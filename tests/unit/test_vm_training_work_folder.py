"""Trainings that are stopped, resumed, changed or pointed at the wrong folder."""

import json
import sys

import numpy as np
import pytest

from vm_core.errors import VmError
from vm_core.scene_asset import SceneAsset
from vm_training import train
from vm_training.tasks.work_folder import CONFIG_FILE, WorkFolder


def begun(path, **resolved) -> WorkFolder:
    folder = WorkFolder(path)
    folder.begin(resolved or {"seed": 0})
    return folder


def test_the_same_configuration_keeps_results(tmp_path):
    folder = begun(tmp_path / "work")
    folder.write_arrays("teacher.npz", {"gains": np.eye(3)})
    folder.write_json("teacher.json", [1, 2.5])
    again = begun(tmp_path / "work")
    np.testing.assert_array_equal(again.read_arrays("teacher.npz")["gains"], np.eye(3))
    assert again.read_json("teacher.json") == [1, 2.5]
    assert json.loads((again / CONFIG_FILE).read_text()) == {"seed": 0}


def test_another_configuration_starts_over_and_keeps_what_was_there(tmp_path, capsys):
    """A changed number of rounds once cost the hundred that were done."""
    folder = begun(tmp_path / "work", seed=0, lane={"envs": 8, "threads": 1}, motions="m" * 50)
    folder.write_arrays("teacher.npz", {"gains": np.eye(3)})
    (folder / "notes.txt").write_text("mine")
    begun(tmp_path / "work", seed=1, lane={"envs": 9, "threads": 1}, motions="n")
    said = capsys.readouterr().out
    assert "(seed: 0 → 1, lane.envs: 8 → 9, motions); starting over; what was there is in earlier_1/" in said
    assert sorted(p.name for p in folder.path.iterdir()) == [CONFIG_FILE, "earlier_1", "notes.txt"]
    assert json.loads((folder / CONFIG_FILE).read_text())["seed"] == 1
    earlier = begun(tmp_path / "work" / "earlier_1", seed=0, lane={"envs": 8, "threads": 1}, motions="m" * 50)
    np.testing.assert_array_equal(earlier.read_arrays("teacher.npz")["gains"], np.eye(3))
    begun(tmp_path / "work", **{f"setting{i}": i for i in range(9)})
    assert "8 more); starting over" in capsys.readouterr().out and (folder / "earlier_2" / CONFIG_FILE).is_file()


def test_setting_aside_that_is_killed_goes_on_in_the_same_place(tmp_path, monkeypatch):
    """The old configuration stays until the results that belong to it are away."""
    folder = begun(tmp_path / "work")
    for name in ("a.json", "b.json"):
        folder.write_json(name, [])
    with monkeypatch.context() as patch:
        patch.setattr("vm_training.tasks.work_folder.atomic_path", _killed)
        with pytest.raises(KeyboardInterrupt):
            begun(tmp_path / "work", seed=1)
    (folder / "b.json").write_text("[]")  # as if it had been killed one file earlier
    begun(tmp_path / "work", seed=1)
    assert sorted(p.name for p in folder.path.iterdir()) == [CONFIG_FILE, "earlier_1"]
    assert sorted(p.name for p in (folder / "earlier_1").iterdir()) == ["a.json", "b.json", CONFIG_FILE]


def _killed(path):
    raise KeyboardInterrupt


def test_a_folder_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(VmError, match=r"holds thesis\.tex"):
        begun(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(VmError, match="a file; expected a folder"):
        begun(tmp_path / "thesis.tex")


def test_what_a_killed_first_write_leaves_is_no_stranger(tmp_path):
    (tmp_path / ".config.x7a3.json").write_text("")
    begun(tmp_path)
    assert (tmp_path / CONFIG_FILE).is_file()


def test_a_killed_write_leaves_the_old_file(tmp_path, monkeypatch):
    folder = begun(tmp_path / "work")
    folder.write_arrays("student.npz", {"weights": np.arange(5)})

    def half(path, **arrays):
        path.write_bytes(b"PK\x03\x04 half a file")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", half)
    with pytest.raises(KeyboardInterrupt):
        folder.write_arrays("student.npz", {"weights": np.zeros(5)})
    np.testing.assert_array_equal(folder.read_arrays("student.npz")["weights"], np.arange(5))
    assert sorted(p.name for p in folder.path.iterdir()) == [CONFIG_FILE, "student.npz"]


def run_train(monkeypatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["vm-train", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        train.main()
    assert isinstance(left.value.code, int)
    return left.value.code


def test_list_says_what_can_be_trained(monkeypatch, capsys):
    assert run_train(monkeypatch, "--list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(train.TASKS) and lines[0].startswith("demo_steps ")


def test_user_errors_are_one_line(monkeypatch, capsys, tmp_path):
    SceneAsset().save(tmp_path / "flat")
    wrong = {
        ("juggle", "--scene", tmp_path / "flat", "--out", "p.onnx"): "unknown task 'juggle'; there are demo_steps",
        ("demo_steps", "--scene", tmp_path / "nowhere", "--out", "p.onnx"): "nowhere",
        ("demo_steps", "--scene", tmp_path / "flat", "--out", "p.pt"): "ends with .onnx",
        ("demo_steps", "--scene", tmp_path / "flat", "--out", tmp_path / "p.onnx"): "0 boxes labelled step",
    }
    for arguments, text in wrong.items():
        assert run_train(monkeypatch, *arguments) == 2
        shown = capsys.readouterr().err.strip()
        assert shown.startswith("error: ") and text in shown and "\n" not in shown
    assert not (tmp_path / "p.onnx").exists()


@pytest.mark.parametrize(
    "setting",
    [
        "num-envs 0",
        "threads 0",
        "seed -1",
        "teacher.rounds 0",
        "distillation.rounds 0",
        "teacher.steps-a-round 100",
        "gait.double-support-s 0.9",
    ],
)
def test_impossible_settings_are_refused_before_any_work(monkeypatch, capsys, tmp_path, setting):
    """128 robots cannot share 100 steps; nothing is planned or written first."""
    SceneAsset().save(tmp_path / "scene")
    option, value = setting.split()
    out = tmp_path / "p.onnx"
    call = ("demo_steps", "--scene", tmp_path / "scene", "--out", out, f"--config.{option}", value)
    assert run_train(monkeypatch, *call) == 2
    shown = capsys.readouterr().err.strip()
    assert shown.startswith("error: ") and "expected" in shown and "\n" not in shown
    assert [p.name for p in tmp_path.iterdir()] == ["scene"]
