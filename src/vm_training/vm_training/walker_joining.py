"""`vm-train mix_walkers`, `gate_walkers`, `pace_walkers`: several walkers in one file; and back."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from vm_core.errors import VmError
from vm_training.benchmark.courses import SIT_SKILL
from vm_training.export import check_policy_name, export_policy
from vm_training.exported_students import read_quick, read_walkers_behind_gate
from vm_training.motions.planned import SIT
from vm_training.paced_student import join_paces
from vm_training.policy_file import PolicyFile
from vm_training.tasks.gate_places import Place, read_walkers
from vm_training.tasks.gating import GatingConfig, train_gate
from vm_training.tasks.mixing import mix_policies
from vm_training.tasks.motion_folder import load_motion, motion_names
from vm_training.tasks.walk_config import command_limits
from vm_training.tasks.work_folder import WorkFolder


@dataclass(frozen=True)
class MixWalkers:
    """The mean of walkers' weights: of one, and of another that began with it and learnt more, but forgot some.

    Attributes:
        policies: files of walkers; the last one's contract and skills are the result's.
        shares: of each.
        out: policy file to write.
    """

    policies: tuple[Path, ...]
    shares: tuple[float, ...]
    out: Path

    def run(self) -> int:
        check_policy_name(self.out)
        student, contract = mix_policies(self.policies, self.shares)
        assert contract.golden is not None  # which a policy file has
        seen = np.array(contract.golden.observation)
        export_policy(student, replace(contract, name=self.out.stem, golden=None), seen, self.out)
        print(f"policy: {self.out}")
        return 0


@dataclass(frozen=True)
class GateWalkers:
    """Walkers of different places in one network, which learns whose place it is in; none of them unlearns anything.

    Attributes:
        policies: files of walkers; the first walks on flat ground, the last one's contract is the result's.
        kinds: of motion that are each one's own, with commas between them.
        motions: folder of motions; no teachers are needed, for the walkers act.
        out: policy file to write.
        work: folder for what a resumed run needs; by default beside `out`.
        config: everything that decides the gate.
    """

    policies: tuple[Path, ...]
    kinds: tuple[str, ...]
    motions: Path
    out: Path
    work: Path | None = None
    config: GatingConfig = field(default_factory=GatingConfig)

    def run(self) -> int:
        check_policy_name(self.out)
        if len(self.kinds) != len(self.policies):
            raise VmError(f"{len(self.policies)} policies, {len(self.kinds)} lists of kinds; expected one for each")
        places = [Place(*pair) for pair in zip(self.policies, (tuple(k.split(",")) for k in self.kinds), strict=True)]
        gated, contract = read_walkers(places, self.config.walk.lane.grid)
        motions = {name: load_motion(self.motions, name) for name in motion_names(self.motions)}
        folder = WorkFolder(self.work or self.out.with_suffix(".training"))
        records = train_gate(gated, places, motions, np.array(contract.default_joint_pos), self.config, folder)
        training = contract.training | {
            "gated": {place.policy.stem: list(place.kinds) for place in places},
            "command": " ".join(["vm-train", *sys.argv[1:]]),
            "gate_right": records[-1]["right"],
        }
        assert contract.golden is not None
        seen = np.array(contract.golden.observation)
        export_policy(gated, replace(contract, name=self.out.stem, golden=None, training=training), seen, self.out)
        print(f"policy: {self.out}; the gate was right {records[-1]['right']:.1%} of the time")
        return 0


@dataclass(frozen=True)
class PaceWalkers:
    """A walker of slow steps and one of quick steps in one file: quick ones on open ground, where they hold pushes.

    Attributes:
        slow: file of gate_walkers.
        quick: file of a walker of the motions quick and quick_arc.
        out: policy file to write.
    """

    slow: Path
    quick: Path
    out: Path

    def run(self) -> int:
        check_policy_name(self.out)
        student, contract = join_paces(self.slow, self.quick)
        slow, quick = (PolicyFile.load(path).contract for path in (self.slow, self.quick))
        about = slow.training | {"quick": quick.training, "command": " ".join(["vm-train", *sys.argv[1:]])}
        assert slow.golden is not None
        seen = np.zeros(contract.observation_size)
        seen[: slow.observation_size] = slow.golden.observation
        export_policy(student, replace(contract, name=self.out.stem, training=about), seen, self.out)
        print(f"policy: {self.out}")
        return 0


@dataclass(frozen=True)
class SplitWalkers:
    """The walkers behind a gate as policy files of their own, for `walk --start` to go on from or others to join.

    Attributes:
        policy: file that gate_walkers wrote.
        out: folder to write.
    """

    policy: Path
    out: Path

    def run(self) -> int:
        found = read_walkers_behind_gate(self.policy)
        self.out.mkdir(parents=True, exist_ok=True)
        kinds_of: dict[str, list[str]] = found[0][1].training["gated"]
        for (student, contract), (name, kinds) in zip(found, kinds_of.items(), strict=True):
            assert contract.golden is not None
            sits = SIT in kinds
            own = replace(
                contract,
                name=name,
                golden=None,
                command_limits=command_limits(sits),
                training={"from": self.policy.stem, "kinds": kinds} | ({"skills": [SIT_SKILL]} if sits else {}),
            )
            export_policy(student, own, np.array(contract.golden.observation), self.out / f"{name}.onnx")
            print(f"policy: {self.out / name}.onnx; {', '.join(kinds)}")
        self._quick()
        return 0

    def _quick(self) -> None:
        found = read_quick(self.policy)
        if found is None:
            return
        student, contract = found
        own = replace(contract, name="quick", command_limits=command_limits(False), training=contract.training["quick"])
        export_policy(student, own, student.mean.numpy(), self.out / "quick.onnx")
        print(f"policy: {self.out}/quick.onnx; quick, quick_arc")
