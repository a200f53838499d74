"""The mean of walkers' weights, and who cannot be mixed."""

from pathlib import Path

import numpy as np
import pytest
import torch

from vm_core.errors import VmError
from vm_training.export import export_policy, walking_contract
from vm_training.mdp.observations import DEFAULT_JOINT_POS
from vm_training.policy_file import PolicyFile
from vm_training.student import Student
from vm_training.tasks.mixing import mix_policies
from vm_training.train import MixWalkers


def _write(path: Path, seed: int, hidden: tuple[int, ...] = (16, 8), step_s: float = 0.65) -> Path:
    torch.manual_seed(seed)
    contract = walking_contract(path.stem, np.asarray(DEFAULT_JOINT_POS), step_s, {"skills": ["sit"]})
    network = Student(contract.observation_size, 23, hidden)
    torch.nn.init.normal_(network.layers[-1].weight, 0.0, 0.2)  # type: ignore[arg-type]
    network.normalize(np.random.default_rng(0).normal(0.3, 2.0, (50, contract.observation_size)).astype(np.float32))
    export_policy(network, contract, np.ones(contract.observation_size), path)
    return path


def test_a_mixed_walker_is_the_mean_and_keeps_the_last_ones_skills(tmp_path):
    first, second = _write(tmp_path / "first.onnx", 0), _write(tmp_path / "second.onnx", 1)
    assert MixWalkers((first, second), (1.0, 3.0), tmp_path / "both.onnx").run() == 0
    mixed = PolicyFile.load(tmp_path / "both.onnx")
    assert mixed.contract.name == "both" and mixed.contract.training["skills"] == ["sit"]
    assert mixed.contract.training["mixed"] == {"first": 0.25, "second": 0.75}
    alone, _ = mix_policies((first, second), (0.0, 2.0))
    seen = torch.randn(5, mixed.contract.observation_size)
    np.testing.assert_allclose(alone(seen).detach(), PolicyFile.load(second).act(seen.numpy()), atol=1e-5)
    student, _ = mix_policies((first, second), (1.0, 3.0))
    np.testing.assert_allclose(student(seen).detach(), mixed.act(seen.numpy()), atol=1e-5)


def test_who_cannot_be_mixed_is_told_why(tmp_path):
    first = _write(tmp_path / "first.onnx", 0)
    with pytest.raises(VmError, match="differ in layers"):
        mix_policies((_write(tmp_path / "wide.onnx", 1, (32, 8)), first), (1.0, 1.0))
    with pytest.raises(VmError, match="differ in gait_step_s"):
        mix_policies((_write(tmp_path / "quick.onnx", 1, step_s=0.5), first), (1.0, 1.0))
    with pytest.raises(VmError, match="a share from 0 for each"):
        mix_policies((first, first), (1.0,))
