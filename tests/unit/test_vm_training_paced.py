"""Walkers of two paces in one file: each is what it was, and the pace alone says whose hand counts."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from vm_core.errors import VmError
from vm_core.height_grid import HeightGridSpec
from vm_core.policy_clocks import PolicyClocks
from vm_core.policy_contract import GoldenPair
from vm_training.export import export_policy, walking_contract
from vm_training.exported_students import read_gated, read_quick, read_student
from vm_training.mdp.observations import DEFAULT_JOINT_POS
from vm_training.mdp.walk_observations import GRID
from vm_training.motions.courses import QUICK_STEP_S, WALKING_GAIT
from vm_training.paced_contract import AHEAD_M, paced_contract, rows_ahead, slow_contract
from vm_training.policy_file import PolicyFile
from vm_training.student import Student
from vm_training.tasks.gate_places import Place, read_walkers
from vm_training.teachers import sampled_lqr
from vm_training.teachers.sampled_lqr import LqrConfig, TeacherRound
from vm_training.walker_joining import PaceWalkers

PERIOD_S = 0.02


def write(path: Path, seed: int, step_s: float) -> Path:
    torch.manual_seed(seed)
    contract = walking_contract(path.stem, np.asarray(DEFAULT_JOINT_POS), step_s, {"figures": seed})
    network = Student(contract.observation_size, 23, (16, 8))
    torch.nn.init.normal_(network.layers[-1].weight, 0.0, 0.2)  # type: ignore[arg-type]
    export_policy(network, contract, np.ones(contract.observation_size), path)
    return path


@pytest.fixture
def gated(tmp_path: Path) -> Path:
    files = [write(tmp_path / f"{name}.onnx", k, WALKING_GAIT.step_s) for k, name in enumerate(("walks", "climbs"))]
    network, contract = read_walkers([Place(files[0], ("flat",)), Place(files[1], ("kerb",))])
    torch.nn.init.normal_(network.gate[-1].weight)  # type: ignore[arg-type]
    seen = np.ones(contract.observation_size)
    export_policy(network, replace(contract, name="gated", golden=None), seen, tmp_path / "gated.onnx")
    return tmp_path / "gated.onnx"


def test_joined_walkers_act_as_each_alone_by_the_pace(gated, tmp_path):
    quick, out = write(tmp_path / "quick.onnx", 7, QUICK_STEP_S), tmp_path / "both.onnx"
    assert PaceWalkers(gated, quick, out).run() == 0
    both, slow, nimble = (PolicyFile.load(path) for path in (out, gated, quick))
    assert (both.contract.gait_step_s, both.contract.gait_quick_step_s) == (WALKING_GAIT.step_s, QUICK_STEP_S)
    assert both.contract.training["quick"] == {"figures": 7}
    seen = np.random.default_rng(0).normal(size=(6, slow.contract.observation_size)).astype(np.float32)
    level = seen.copy()
    level[:, -GRID.num_cells :] = 0.0  # its mean: it has not been taught
    for pace, alone, sees in ((0.0, slow, seen), (1.0, nimble, level)):
        shown = np.column_stack([seen, np.full(6, pace, np.float32)])
        np.testing.assert_allclose(both.act(shown), alone.act(sees), atol=1e-5)


@pytest.mark.parametrize("rows", [11, 14, 18, 20])
def test_the_grid_reaches_far_enough_and_its_rear_part_is_what_walkers_see(rows):
    grid = HeightGridSpec(size_x=rows, center_x=0.05 * (rows - 11))
    walks = walking_contract("walks", np.asarray(DEFAULT_JOINT_POS), WALKING_GAIT.step_s, {})
    *others, last = walks.observation
    slow = replace(walks, height_grid=grid, observation=(*others, replace(last, size=grid.num_cells)))
    paced = paced_contract(slow, QUICK_STEP_S)
    assert paced.height_grid is not None and rows_ahead(grid) == max(18 - rows, 0)
    np.testing.assert_allclose(paced.height_grid.cell_offsets_xy[: grid.num_cells], grid.cell_offsets_xy, atol=1e-9)
    assert paced.height_grid.cell_offsets_xy[:, 0].max() >= AHEAD_M - 1e-9
    golden = GoldenPair((0.0,) * paced.observation_size, (0.0,) * 23)
    again = slow_contract(replace(paced, golden=golden), slow.observation_size)
    assert again.height_grid is not None and again.observation == slow.observation
    np.testing.assert_allclose(again.height_grid.cell_offsets_xy, grid.cell_offsets_xy, atol=1e-9)


def test_both_paces_come_out_again(gated, tmp_path):
    quick, out = write(tmp_path / "quick.onnx", 7, QUICK_STEP_S), tmp_path / "both.onnx"
    PaceWalkers(gated, quick, out).run()
    (network, contract), (before, its) = read_gated(out), read_gated(gated)
    assert replace(contract, name="", training={}, golden=None) == replace(its, name="", training={}, golden=None)
    seen = torch.randn(5, its.observation_size)
    torch.testing.assert_close(network(seen), before(seen))
    found = read_quick(out)
    assert found is not None and found[1].gait_step_s == QUICK_STEP_S and read_quick(gated) is None
    np.testing.assert_allclose(found[0](seen).detach(), PolicyFile.load(quick).act(seen.numpy()), atol=1e-5)


def test_the_contract_makes_the_clock_run_at_both_paces(gated, tmp_path):
    quick, out = write(tmp_path / "quick.onnx", 7, QUICK_STEP_S), tmp_path / "both.onnx"
    PaceWalkers(gated, quick, out).run()
    contract = PolicyFile.load(out).contract
    assert contract.height_grid is not None
    clocks, level = PolicyClocks(contract), np.full(contract.height_grid.num_cells, 0.7)
    edge = level.copy()
    edge[-33:] -= 0.12
    for heights, pace in ((level, 1.0), (edge, 0.0)):
        clocks.reset()
        told = [clocks.update(np.array([0.3, 0.0, 0.0]), heights, PERIOD_S) for _ in range(100)]
        assert [float(one.inputs["gait_pace"][0]) for one in told] == [pace] * 100
        turns = np.unwrap([float(np.arctan2(*one.inputs["gait_phase"][::-1])) for one in told[50:]])
        step_s = np.pi * PERIOD_S / np.median(np.diff(turns))
        assert step_s == pytest.approx(QUICK_STEP_S if pace else WALKING_GAIT.step_s, rel=1e-6)


def test_who_cannot_be_joined_is_told_why(gated, tmp_path):
    with pytest.raises(VmError, match="expected quicker ones than 0.65 s"):
        PaceWalkers(gated, write(tmp_path / "same.onnx", 1, WALKING_GAIT.step_s), tmp_path / "out.onnx").run()
    with pytest.raises(VmError, match="no walkers behind a gate"):
        PaceWalkers(tmp_path / "walks.onnx", tmp_path / "walks.onnx", tmp_path / "out.onnx").run()
    quick, out = write(tmp_path / "quick.onnx", 7, QUICK_STEP_S), tmp_path / "both.onnx"
    PaceWalkers(gated, quick, out).run()
    with pytest.raises(VmError, match="split_walkers gives its walkers alone"):
        read_student(out)
    contract = PolicyFile.load(gated).contract
    with pytest.raises(VmError, match="if, and only if, it reads gait_pace"):
        replace(contract, gait_quick_step_s=0.3)


@pytest.mark.parametrize(("least", "expected"), [(1, 2), (4, 4)])
def test_a_teacher_that_is_good_enough_is_sampled_on_if_asked_to(monkeypatch, least, expected):
    """More samples hold larger pushes; the judge is content after two rounds."""
    found: list[TeacherRound] = []
    clip = SimpleNamespace(num_frames=4, fps=50.0)
    env = SimpleNamespace(clip=clip, reference_qvel=np.ones((4, 3)))
    monkeypatch.setattr(sampled_lqr, "collect", lambda *_: None)
    monkeypatch.setattr(sampled_lqr, "fit_local_models", lambda *_: None)
    monkeypatch.setattr(sampled_lqr, "regulator_gains", lambda *_: np.zeros((4, 23, 59)))
    monkeypatch.setattr(sampled_lqr, "evaluate", lambda *_: (0.5 * (len(found) + 1), 1.0))
    config = LqrConfig(rounds=5, least_rounds=least)
    sampled_lqr.train_lqr(env, config, found.append, good_enough=1.0)  # type: ignore[arg-type]
    assert len(found) == expected
