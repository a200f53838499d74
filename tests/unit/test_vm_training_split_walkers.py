"""Walkers taken out from behind their gate: each acts as before, and others go on from it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vm_core.errors import VmError
from vm_training.export import export_policy, walking_contract
from vm_training.exported_students import read_student, read_walkers_behind_gate
from vm_training.mdp.observations import DEFAULT_JOINT_POS
from vm_training.policy_file import PolicyFile
from vm_training.student import Student
from vm_training.tasks.earlier_walker import take_earlier
from vm_training.tasks.gate_places import Place, read_walkers
from vm_training.walker_joining import SplitWalkers

KINDS = {"walks": ("flat", "kerb"), "sits": ("sit",), "climbs": ("steep_up",)}


def write(path: Path, seed: int, own_scale: bool) -> Path:
    torch.manual_seed(seed)
    sits = path.stem == "sits"
    contract = walking_contract(path.stem, np.asarray(DEFAULT_JOINT_POS), 0.65, {"skills": ["sit"] if sits else []})
    last = contract.observation[-1]
    contract = replace(
        contract, observation=(*contract.observation[:-1], replace(last, clip=(0.1 * own_scale * seed, 1.3)))
    )
    network = Student(contract.observation_size, 23, (16, 8))
    torch.nn.init.normal_(network.layers[-1].weight, 0.0, 0.2)  # type: ignore[arg-type]
    if own_scale:
        network.mean.normal_()
        network.spread.uniform_(0.5, 1.5)
    export_policy(network, contract, np.ones(contract.observation_size), path)
    return path


@pytest.fixture(params=[False, True], ids=["same scale", "own scale"])
def joined(request, tmp_path) -> Path:
    """A gated policy file of three walkers; with the same scale the exporter joins what is alike."""
    names = enumerate(KINDS.items())
    places = [Place(write(tmp_path / f"{name}.onnx", i, request.param), kinds) for i, (name, kinds) in names]
    gated, contract = read_walkers(places)
    torch.nn.init.normal_(gated.gate[-1].weight)  # type: ignore[arg-type]
    about = contract.training | {"gated": {name: list(kinds) for name, kinds in KINDS.items()}}
    seen = np.abs(np.random.default_rng(0).normal(size=contract.observation_size))
    export_policy(gated, replace(contract, name="one", golden=None, training=about), seen, tmp_path / "one.onnx")
    return tmp_path / "one.onnx"


def test_each_is_what_it_was(joined, tmp_path):
    assert SplitWalkers(joined, tmp_path / "apart").run() == 0
    for name in KINDS:
        before, after = (PolicyFile.load(folder / f"{name}.onnx") for folder in (tmp_path, tmp_path / "apart"))
        seen = np.abs(np.random.default_rng(1).normal(size=(4, before.contract.observation_size))).astype(np.float32)
        np.testing.assert_allclose(after.act(seen), before.act(seen), atol=1e-5)
        assert after.contract.observation[-1].clip == pytest.approx(before.contract.observation[-1].clip)
        assert after.contract.command_limits == before.contract.command_limits
        assert after.contract.training.get("skills", []) == before.contract.training["skills"]


def test_a_walker_begins_with_a_policy_file(joined, tmp_path):
    path = tmp_path / "walks.onnx"
    before, contract = read_student(path)
    student = Student(contract.observation_size, 23, (16, 8))
    default = np.array(contract.default_joint_pos)
    take_earlier(student, default, path)
    seen = torch.randn(3, contract.observation_size)
    torch.testing.assert_close(student(seen), before(seen))
    with pytest.raises(VmError, match="other layers"):
        take_earlier(Student(contract.observation_size, 23, (16, 12)), default, path)


def test_one_file_is_not_taken_for_the_other(joined, tmp_path):
    with pytest.raises(VmError, match="split_walkers"):
        read_student(joined)
    with pytest.raises(VmError, match="no walkers behind a gate"):
        read_walkers_behind_gate(tmp_path / "walks.onnx")
