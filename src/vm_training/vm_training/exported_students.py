"""Networks of policy files that this project exported, to be trained on: a walker, or several behind a gate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from vm_core import g1
from vm_core.errors import VmError
from vm_core.policy_contract import PolicyContract
from vm_training.gated_student import EdgeRule, GatedStudent, GridPlace
from vm_training.paced_contract import slow_contract
from vm_training.policy_file import PolicyFile
from vm_training.student import Student

Arrays = dict[str, np.ndarray]
_BUFFERS = ("mean", "spread")


def read_student(path: Path) -> tuple[Student, PolicyContract]:
    """The network of a policy file that this project exported, to be trained on.

    Raises:
        VmError: another kind of network, or a contract that commands cannot drive.
    """
    contract, arrays = _commanded(path)
    student = perceptron_of(arrays, contract.observation_size)
    if student is None:
        several = _walkers(arrays) or contract.gait_quick_step_s is not None
        hint = "; vm-train split_walkers gives its walkers alone" if several else ""
        raise VmError(f"{path.name}: not a plain perceptron of this project{hint}")
    if not acts_as_said(student, contract):
        raise VmError(f"{path.name}: its layers alone do not give its golden action; not a plain perceptron")
    return student.eval(), contract


def read_walkers_behind_gate(path: Path) -> list[tuple[Student, PolicyContract]]:
    """The walkers of a gated policy file, each with the contract that cuts its observations as the gated one does.

    Raises:
        VmError: another kind of network, or a contract that commands cannot drive.
    """
    gated, contract = read_gated(path)
    return [
        (walker.eval(), _cut_at(contract, low.numpy()))
        for walker, low in zip(gated.walkers, gated.least, strict=True)
        if isinstance(walker, Student)
    ]


def read_gated(path: Path) -> tuple[GatedStudent, PolicyContract]:
    """The network of a gated policy file; of one of two paces, that of its slow steps.

    Raises:
        VmError: another kind of network, or a contract that commands cannot drive.
    """
    contract, arrays = _commanded(path)
    if contract.gait_quick_step_s is not None:
        contract, arrays = slow_contract(contract, _sees(arrays)), _part(arrays, "slow.")
    walkers = [
        perceptron_of(arrays, contract.observation_size, f"walkers.{index}.") for index in range(_walkers(arrays))
    ]
    students = [walker for walker in walkers if walker is not None]
    least = [torch.from_numpy(value) for value in _lower_bounds(arrays, contract)]
    if not students or len(students) != len(walkers) or len(least) not in (1, len(students)):
        raise VmError(f"{path.name}: no walkers behind a gate; it says of itself: {sorted(contract.training)}")
    least = least * (len(students) // len(least))
    shares = min(array.shape[0] for name, array in arrays.items() if name.startswith("gate.") and array.ndim == 2)
    edges = EdgeRule(grid_place(contract), len(students) - shares) if shares < len(students) else None
    gated = GatedStudent(students, torch.stack(least), torch.from_numpy(arrays["looks_at"]), edges)
    for index, layer in enumerate(gated.gate):
        if isinstance(layer, nn.Linear):
            _fill(layer, arrays, f"gate.{index}")
    if not acts_as_said(gated, contract):
        raise VmError(f"{path.name}: its walkers and gate do not give its golden action")
    return gated.eval(), contract


def read_quick(path: Path) -> tuple[Student, PolicyContract] | None:
    """The walker of quick steps of a policy file of two paces, without a golden pair; None if it has one pace.

    Raises:
        VmError: a contract that commands cannot drive.
    """
    contract, arrays = _commanded(path)
    quick_s = contract.gait_quick_step_s
    if quick_s is None:
        return None
    student = perceptron_of(_part(arrays, "quick."), _sees(arrays))
    assert student is not None  # its own first layer says what it sees
    return student.eval(), replace(slow_contract(contract, _sees(arrays)), gait_step_s=quick_s, golden=None)


def _sees(arrays: Arrays) -> int:
    """How many numbers the walkers of a policy file of two paces see."""
    return int(arrays["quick.layers.0.weight"].shape[1])


def _part(arrays: Arrays, prefix: str) -> Arrays:
    """Constants of one part of a network, and those without a name of a part."""
    own = {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
    return own | {name: value for name, value in arrays.items() if "." not in name and name != "shown"}


def grid_place(contract: PolicyContract) -> GridPlace:
    """Where a walker's observation has the height grid.

    Raises:
        VmError: it sees none.
    """
    start = 0
    for term in contract.observation:
        if term.name == "height_grid" and contract.height_grid is not None:
            spec = contract.height_grid
            return GridPlace(start, spec.size_x, spec.size_y, term.scale[0], contract.height_grid_unknown)
        start += term.size * term.history_length
    raise VmError(f"{contract.name} sees no height grid; a gate cannot tell whose place it is")


def _commanded(path: Path) -> tuple[PolicyContract, Arrays]:
    """Contract and constants of a walker of the 23 joints that a root command drives."""
    contract = PolicyFile.load(path).contract
    names = [term.name for term in contract.observation]
    if contract.action_base != "default_pose" or "velocity_commands" not in names:
        raise VmError(f"{path.name}: follows a clip; expected a policy that sees a root command")
    if contract.joint_names != g1.POLICY_JOINT_NAMES or contract.action_clip is None:
        raise VmError(f"{path.name}: moves {len(contract.joint_names)} joints; expected this project's 23")
    return contract, {t.name: numpy_helper.to_array(t).copy() for t in onnx.load(str(path)).graph.initializer}


def perceptron_of(arrays: Arrays, inputs: int, prefix: str = "") -> Student | None:
    """The perceptron of an exported network's constants, by name, that have a prefix; None if none has these inputs."""
    names = [name for name in arrays if name.startswith(f"{prefix}layers.") and name.endswith(".weight")]
    stems = sorted((name.removesuffix(".weight") for name in names), key=lambda stem: int(stem.rsplit(".", 1)[1]))
    sizes = [arrays[f"{stem}.weight"].shape for stem in stems]
    if not sizes or sizes[0][1] != inputs:
        return None
    student = Student(sizes[0][1], sizes[-1][0], [rows for rows, _ in sizes[:-1]])
    layers = [layer for layer in student.layers if isinstance(layer, nn.Linear)]
    for layer, stem in zip(layers, stems, strict=True):
        _fill(layer, arrays, stem)
    for name in _BUFFERS:
        # the exporter leaves out what changes nothing, and joins what is the same
        value = arrays.get(prefix + name, arrays.get(name))
        if value is not None:
            getattr(student, name).copy_(torch.from_numpy(value))
    return student


def _fill(layer: nn.Linear, arrays: Arrays, stem: str) -> None:
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(arrays[f"{stem}.weight"]))
        bias = arrays.get(f"{stem}.bias")  # the exporter leaves out what is zero
        layer.bias.zero_() if bias is None else layer.bias.copy_(torch.from_numpy(bias))


def _walkers(arrays: Arrays) -> int:
    return len({name.split(".")[1] for name in arrays if name.startswith("walkers.") and name.endswith(".weight")})


def _lower_bounds(arrays: Arrays, contract: PolicyContract) -> list[np.ndarray]:
    """What observations are raised to, for all walkers or for each in order: the exporter gives them no name."""
    named = ("looks_at", *_BUFFERS)
    return [
        value
        for name, value in arrays.items()
        if value.shape == (contract.observation_size,) and name.rsplit(".", 1)[-1] not in named
    ]


def _cut_at(contract: PolicyContract, least: np.ndarray) -> PolicyContract:
    """The contract with each clipped term's lower bound as one walker was shown it."""
    terms, start = [], 0
    for term in contract.observation:
        if term.clip is not None:
            term = replace(term, clip=(float(least[start]) / term.scale[0], term.clip[1]))
        terms.append(term)
        start += term.size * term.history_length
    return replace(contract, observation=tuple(terms))


def acts_as_said(network: nn.Module, contract: PolicyContract) -> bool:
    """Whether a network gives its contract's golden action."""
    assert contract.golden is not None  # which a policy file has
    with torch.no_grad():
        given = network(torch.tensor([contract.golden.observation]))[0].numpy()
    return bool(np.abs(given - np.array(contract.golden.action)).max() <= 10.0 * contract.golden.tolerance)
