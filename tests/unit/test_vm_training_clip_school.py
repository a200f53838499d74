"""One tracker of many clips: two planned walks, two rounds, the policy file, going on after a kill, who is refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vm_core.errors import VmError
from vm_core.policy_contract import METADATA_KEY
from vm_training.clip_tracking_command import TrackClips
from vm_training.make_motions import MakeMotions, make_motions
from vm_training.mdp.clip_tracking import NUM_ERRORS, NUM_JOINTS
from vm_training.mdp.observations import ANY_CLIP_TERMS, TRACKING_TERMS
from vm_training.tasks.clip_school import ClipSchoolConfig, train_clip_school
from vm_training.tasks.lqr_teachers import load_teacher, teacher_file
from vm_training.tasks.motion_folder import load_motion
from vm_training.tasks.work_folder import WorkFolder

SMALL = ClipSchoolConfig(rounds=2, motions_a_round=2, num_envs=4, steps=10, hidden=(16,), lessons=512, batch=32)


@pytest.fixture(scope="module")
def motions(tmp_path_factory) -> Path:
    """Two walks, with gains that do nothing."""
    folder = tmp_path_factory.mktemp("clips")
    make_motions(MakeMotions(folder / "motions", 2, ("flat",)))
    teachers = WorkFolder(folder / "teachers")
    teachers.begin({})
    for name in ("flat_0000", "flat_0001"):
        frames = load_motion(folder / "motions", name).clip.num_frames
        teachers.write_arrays(teacher_file(name), {"gains": np.zeros((frames, NUM_JOINTS, NUM_ERRORS + 1), np.float32)})
        teachers.write_json(f"{name}.json", [{"steps": 0, "success": 1.0, "upright_s": 5.0}])
    return folder


def test_no_phase_among_many_clips():
    assert [term.name for term in TRACKING_TERMS[: len(ANY_CLIP_TERMS)]] == [term.name for term in ANY_CLIP_TERMS]
    assert "ref_phase" not in {term.name for term in ANY_CLIP_TERMS}


def test_a_killed_run_goes_on(motions, tmp_path):
    loaded = {
        name: (load_motion(motions / "motions", name), load_teacher(motions / "teachers", name))
        for name in ("flat_0000", "flat_0001")
    }
    folder = WorkFolder(tmp_path / "whole")
    whole, records = train_clip_school(loaded, SMALL, folder, motions)
    assert len(records) == 2 and [record["steps"] for record in records] == [80, 80]
    # after one round, as a kill would leave it: the second start makes the other one only
    saved = folder.read_arrays("student.npz")
    folder.write_arrays("student.npz", saved | {"rounds": np.array(1)})
    again, longer = train_clip_school(loaded, SMALL, folder, motions)
    assert len(longer) == 2 and longer[0] == records[0]
    assert any((a != b).any() for a, b in zip(whole.parameters(), again.parameters(), strict=True))


def test_command_writes_a_policy_with_its_clip(motions, tmp_path, capsys):
    import onnx

    from vm_core.policy_contract import REFERENCE_KEY, PolicyContract

    out = tmp_path / "clips.onnx"
    shutil.copytree(motions / "motions" / "flat_0000", tmp_path / "unseen" / "flat_0000")
    options = TrackClips(
        motions / "motions", motions / "teachers", out, tmp_path / "unseen", "flat_0001", starts=1, config=SMALL
    )
    assert options.run() == 0
    found = {entry.key: entry.value for entry in onnx.load(str(out)).metadata_props}
    contract = PolicyContract.from_json(found[METADATA_KEY])
    assert contract.observation == ANY_CLIP_TERMS and contract.action_base == "reference_target"
    assert found[REFERENCE_KEY] and "follows 1 clips that it has never seen" in capsys.readouterr().out
    with pytest.raises(VmError, match="--shown arc_0000: no such motion"):
        replace(options, shown="arc_0000").run()


@pytest.mark.parametrize("wrong", [{"rounds": 0}, {"seed": -1}, {"lessons": 3}, {"teacher_gain": 0.0}])
def test_settings_that_cannot_be(wrong):
    with pytest.raises(VmError, match="expected whole numbers"):
        replace(SMALL, **wrong)
