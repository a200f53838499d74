"""A walker in the place of another: it alone acts otherwise, and the gate still says whose hand counts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vm_core.errors import VmError
from vm_core.height_grid import HeightGridSpec
from vm_training.export import export_policy, walking_contract
from vm_training.exported_students import grid_place, read_gated
from vm_training.mdp.observations import DEFAULT_JOINT_POS
from vm_training.mdp.walk_observations import GRID
from vm_training.motions.courses import QUICK_STEP_S, WALKING_GAIT
from vm_training.policy_file import PolicyFile
from vm_training.student import Student
from vm_training.tasks.gate_places import Place, read_walkers
from vm_training.walker_arrivals import AddWalker, ExchangeWalker
from vm_training.walker_joining import PaceWalkers

NAMES = ("walks", "sits")


def write(
    path: Path, seed: int, step_s: float = WALKING_GAIT.step_s, grid: HeightGridSpec = GRID, scale: float = 1.0
) -> Path:
    torch.manual_seed(seed)
    contract = walking_contract(path.stem, np.asarray(DEFAULT_JOINT_POS), step_s, {"seed": seed}, grid)
    network = Student(contract.observation_size, 23, (16, 8))
    torch.nn.init.normal_(network.layers[-1].weight, 0.0, 0.2)  # type: ignore[arg-type]
    network.spread.fill_(scale)
    export_policy(network, contract, np.ones(contract.observation_size), path)
    return path


def write_gated(tmp_path: Path, grid: HeightGridSpec = GRID) -> Path:
    """Two walkers, of which the gate takes the second's hand for commands backwards."""
    files = [write(tmp_path / f"{name}.onnx", seed, grid=grid) for seed, name in enumerate(NAMES)]
    network, contract = read_walkers([Place(file, (file.stem,)) for file in files], grid)
    torch.nn.init.normal_(network.gate[-1].weight)  # type: ignore[arg-type]
    about = contract.training | {"gated": {name: [name] for name in NAMES}}
    seen = np.ones(contract.observation_size)
    out = tmp_path / "gated.onnx"
    export_policy(network, replace(contract, name="gated", golden=None, training=about), seen, out)
    return out


@pytest.fixture
def gated(tmp_path: Path) -> Path:
    return write_gated(tmp_path)


@pytest.fixture
def paced(gated: Path, tmp_path: Path) -> Path:
    PaceWalkers(gated, write(tmp_path / "quick.onnx", 7, QUICK_STEP_S), tmp_path / "paced.onnx").run()
    return tmp_path / "paced.onnx"


def shown(contract_of: Path, pace: float | None = None) -> np.ndarray:
    size = PolicyFile.load(contract_of).contract.observation_size
    seen = np.abs(np.random.default_rng(0).normal(size=(6, size))).astype(np.float32)
    if pace is not None:
        seen[:, -1] = pace
    return seen


@pytest.mark.parametrize("place", NAMES)
def test_one_behind_the_gate_is_another_now_and_the_other_is_not(gated, tmp_path, place):
    new, out = write(tmp_path / "new.onnx", 5), tmp_path / "out.onnx"
    assert ExchangeWalker(gated, place, new, out).run() == 0
    (before, _), (after, contract) = read_gated(gated), read_gated(out)
    seen = torch.from_numpy(shown(gated))
    index = NAMES.index(place)
    torch.testing.assert_close(after.logits(seen), before.logits(seen))
    torch.testing.assert_close(after.walkers[1 - index](seen), before.walkers[1 - index](seen))
    expected = PolicyFile.load(new).act(seen.numpy())
    np.testing.assert_allclose(after.walkers[index](seen).detach(), expected, atol=1e-5)
    assert not torch.allclose(after(seen), before(seen))
    assert contract.training["exchanged"][place]["training"] == {"seed": 5}


def test_of_two_paces_the_other_stays(paced, tmp_path):
    for place, step_s in (("sits", WALKING_GAIT.step_s), ("quick", QUICK_STEP_S)):
        new, out = write(tmp_path / "new.onnx", 5, step_s), tmp_path / "out.onnx"
        ExchangeWalker(paced, place, new, out).run()
        before, after = PolicyFile.load(paced), PolicyFile.load(out)
        assert replace(after.contract, name="", training={}, golden=None) == replace(
            before.contract, name="", training={}, golden=None
        )
        for pace in (0.0, 1.0):
            seen = shown(paced, pace)
            stays = np.allclose(after.act(seen), before.act(seen), atol=1e-5)
            assert stays == (pace == (1.0 if place == "sits" else 0.0))


def test_who_comes_may_see_less_of_the_ground(gated, tmp_path):
    """Rows ahead that it does not see mean nothing to it."""
    grid = HeightGridSpec(size_x=11, samples_per_side=GRID.samples_per_side)
    new, out = write(tmp_path / "new.onnx", 5, grid=grid), tmp_path / "out.onnx"
    ExchangeWalker(gated, "sits", new, out).run()
    after, _ = read_gated(out)
    seen = shown(gated)
    own = seen[:, : PolicyFile.load(new).contract.observation_size]
    found = after.walkers[1](torch.from_numpy(seen)).detach().numpy()
    np.testing.assert_allclose(found, PolicyFile.load(new).act(own), atol=1e-5)


@pytest.mark.parametrize("pace", [None, 0.0, 1.0])
def test_who_comes_may_see_more_of_the_ground(tmp_path, pace):
    """All are shown it then, and make nothing of it, nor does the gate."""
    few = HeightGridSpec(size_x=11)
    small, new, out = write_gated(tmp_path, few), tmp_path / "new.onnx", tmp_path / "out.onnx"
    if pace is not None:
        quick = write(tmp_path / "quick.onnx", 7, QUICK_STEP_S, few)
        PaceWalkers(small, quick, tmp_path / "paced.onnx").run()
        small = tmp_path / "paced.onnx"
    ExchangeWalker(small, "sits", write(new, 5), out).run()
    before, after = PolicyFile.load(small), PolicyFile.load(out)
    assert after.contract.height_grid == GRID
    (_, earlier), (gated, its) = read_gated(small), read_gated(out)
    cells = earlier.observation_size, its.observation_size
    seen = torch.from_numpy(shown(out))
    was = seen[:, : cells[0]]
    torch.testing.assert_close(gated.logits(seen[:, : cells[1]]), read_gated(small)[0].logits(was))
    stays = read_gated(small)[0].walkers[0](was)
    torch.testing.assert_close(gated.walkers[0](seen[:, : cells[1]]), stays)
    if pace == 1.0:
        rows = shown(out, pace)
        np.testing.assert_allclose(after.act(rows), before.act(rows), atol=1e-5)


def steps_of(rise_m: float, contract_of: Path) -> np.ndarray:
    """Level ground with a drop of a height ahead, as an observation without history shows it."""
    seen = np.full_like(shown(contract_of)[:1], 0.1)
    place = grid_place(PolicyFile.load(contract_of).contract)
    ground = np.full((place.rows, place.columns), 0.6, np.float32)
    ground[place.rows // 2 :] += rise_m
    seen[:, place.start : place.start + ground.size] = place.scale * ground.ravel()
    return seen


def test_who_is_added_has_low_edges_and_nothing_else(tmp_path):
    """Level ground stays the first walker's, high stairs the last one's; the gate is what it was."""
    files = {name: write(tmp_path / f"{name}.onnx", k) for k, name in enumerate((*NAMES, "stairs", "kerbs"))}
    kinds = {"walks": ("flat",), "sits": ("sit",), "stairs": ("steep_up", "steep_down")}
    network, contract = read_walkers([Place(files[name], kinds[name]) for name in kinds])
    torch.nn.init.zeros_(network.gate[-1].weight)  # type: ignore[arg-type]
    with torch.no_grad():
        network.gate[-1].bias.copy_(torch.tensor([9.0, -9.0]))  # type: ignore[union-attr]
    about = contract.training | {"gated": {name: list(its) for name, its in kinds.items()}}
    slow, paced, out = (tmp_path / f"{name}.onnx" for name in ("slow", "paced", "out"))
    seen = np.ones(contract.observation_size)
    export_policy(network, replace(contract, name="slow", golden=None, training=about), seen, slow)
    assert AddWalker(slow, "kerbs", files["kerbs"], out).run() == 0
    for rise_m, name in ((0.035, "walks"), (0.06, "kerbs"), (0.12, "kerbs"), (0.14, "stairs")):
        seen = steps_of(rise_m, out)
        np.testing.assert_allclose(PolicyFile.load(out).act(seen), PolicyFile.load(files[name]).act(seen), atol=0.03)
    again, its = read_gated(out)
    assert list(its.training["gated"]) == ["walks", "sits", "kerbs", "stairs"] and again.edges.walkers == 2
    PaceWalkers(out, write(tmp_path / "quick.onnx", 7, QUICK_STEP_S), paced).run()
    assert ExchangeWalker(paced, "kerbs", files["stairs"], tmp_path / "both.onnx").run() == 0
    with pytest.raises(VmError, match="none of low ones yet"):
        AddWalker(out, "more", files["kerbs"], tmp_path / "never.onnx").run()
    with pytest.raises(VmError, match="instead of 'sits'"):
        AddWalker(slow, "sits", files["kerbs"], tmp_path / "never.onnx").run()
    assert not (tmp_path / "never.onnx").exists()


def test_who_cannot_come_is_told_why(gated, paced, tmp_path):
    new, out = write(tmp_path / "new.onnx", 5), tmp_path / "out.onnx"
    with pytest.raises(VmError, match="nobody has the place 'quick'; there are walks, sits"):
        ExchangeWalker(gated, "quick", new, out).run()
    with pytest.raises(VmError, match="differ in gait_step_s"):
        ExchangeWalker(paced, "quick", new, out).run()
    with pytest.raises(VmError, match="first walker's scale"):
        ExchangeWalker(gated, "walks", write(tmp_path / "scaled.onnx", 5, scale=2.0), out).run()
    with pytest.raises(VmError, match="no walkers behind a gate"):
        ExchangeWalker(new, "walks", new, out).run()
    assert not out.exists()
