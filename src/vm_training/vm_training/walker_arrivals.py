"""`vm-train exchange_walker`, `add_walker`: who comes later into a file of several walkers."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vm_core.policy_contract import PolicyContract
from vm_training.export import check_policy_name, export_policy
from vm_training.policy_file import PolicyFile
from vm_training.student import NormalizedNetwork
from vm_training.walker_exchange import exchanged, with_climber


@dataclass(frozen=True)
class ExchangeWalker:
    """Another walker in the place of one in a policy file; the gate and all others stay as they are.

    Attributes:
        policy: file that gate_walkers or pace_walkers wrote.
        place: whose it is: a name that split_walkers gives.
        walker: file of the one that comes, of the same task.
        out: policy file to write.
    """

    policy: Path
    place: str
    walker: Path
    out: Path

    def run(self) -> int:
        check_policy_name(self.out)
        network, contract = exchanged(self.policy, self.place, self.walker)
        _write(network, contract, self.policy, self.place, self.walker, self.out)
        print(f"policy: {self.out}; {self.place} is {self.walker.name} now")
        return 0


@dataclass(frozen=True)
class AddWalker:
    """A walker of kerbs and low stairs beside that of high stairs; the gate and all others stay as they are.

    Attributes:
        policy: file that gate_walkers or pace_walkers wrote, with a walker of high stairs.
        name: of its place.
        walker: file of the one that comes, of the same task.
        out: policy file to write.
    """

    policy: Path
    name: str
    walker: Path
    out: Path

    def run(self) -> int:
        check_policy_name(self.out)
        network, contract = with_climber(self.policy, self.name, self.walker)
        _write(network, contract, self.policy, self.name, self.walker, self.out)
        print(f"policy: {self.out}; {self.walker.name} has the place {self.name}")
        return 0


def _write(
    network: NormalizedNetwork, contract: PolicyContract, policy: Path, place: str, walker: Path, out: Path
) -> None:
    """The policy file, which says who came later."""
    before, its = (PolicyFile.load(path).contract for path in (policy, walker))
    newer = {"training": its.training, "command": " ".join(["vm-train", *sys.argv[1:]])}
    about = contract.training | {"exchanged": before.training.get("exchanged", {}) | {place: newer}}
    assert before.golden is not None and its.golden is not None
    known = max(before.golden.observation, its.golden.observation, key=len)  # of whoever sees more
    seen = np.zeros(contract.observation_size)
    seen[: len(known)] = known
    export_policy(network, replace(contract, name=out.stem, golden=None, training=about), seen, out)
