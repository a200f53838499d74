"""A walker without a clip: DAgger from the teachers of many motions into one network that sees command and ground."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from vm_core.errors import VmError
from vm_training.mdp.observations import DEFAULT_JOINT_POS
from vm_training.motions.planned import KINDS
from vm_training.progress import Progress
from vm_training.student import Student
from vm_training.tasks.earlier_walker import WALKER_FILE, take_weights
from vm_training.tasks.lqr_teachers import best_success, load_teacher, teacher_file
from vm_training.tasks.motion_folder import load_motion, motion_names
from vm_training.tasks.school import LEARNING, School
from vm_training.tasks.walk_config import WalkConfig
from vm_training.tasks.walk_validation import Validation
from vm_training.tasks.work_folder import WorkFolder
from vm_training.teachers.sampled_lqr import MAX_CORRECTION_RAD, LqrTeacher

RECORDS_FILE = "walker.json"


def good_motions(motions: Path, teachers: WorkFolder, least: float) -> list[str]:
    """Names of motions whose teacher is there and good.

    Raises:
        VmError: there is none.
    """
    ready = [name for name in motion_names(motions) if (teachers / teacher_file(name)).is_file()]
    good = [name for name in ready if best_success(teachers, name) >= least]
    if not good:
        raise VmError(f"{teachers.path}: no teacher reaches {least:.0%} of {len(ready)}; run vm-train lqr_teachers")
    return good


def kinds_of(names: list[str]) -> list[str]:
    """Kinds of motions, in the generator's order."""
    found = {name.rsplit("_", 1)[0] for name in names}
    return [kind for kind in KINDS if kind in found]


def train_walk(
    motions: Path, teachers: Path, config: WalkConfig, folder: WorkFolder, start: Path | None = None
) -> tuple[Student, np.ndarray]:
    """All rounds that are not done yet; returns the best walker and the pose (J,) [rad] that its actions add to.

    A resumed run goes on with the weights of the last whole round and gathers its lessons anew.

    Args:
        motions: folder of motions.
        teachers: folder of their teachers.
        config: everything that decides the result.
        folder: for what a resumed run needs.
        start: work folder or policy file of an earlier walker of the same layers, to begin from what it can.

    Raises:
        VmError: no motions, no good teachers, or no walker to start from.
    """
    torch.set_num_threads(1)
    torch.manual_seed(config.seed)
    names = good_motions(motions, WorkFolder(teachers), config.least_teacher)
    folder.begin({"config": asdict(config), "motions": names, "start": start})
    gain, limit_rad = config.teacher_gain, config.teacher_limit_rad
    loaded = {name: (load_motion(motions, name), load_bold_teacher(teachers, name, gain, limit_rad)) for name in names}
    default = DEFAULT_JOINT_POS  # which a robot can hold before the policy runs; the plans' crouch it cannot
    school = School(loaded, default, config)
    records = _resumed(school, folder)
    if start is not None and not records:
        school.take(start)
    validation = Validation(config, loaded[names[0]][0].gait, kinds_of(names), default, folder)
    with Progress("walker", config.rounds, len(records)) as bar:
        for index in range(len(records), config.rounds):
            newest = school.round(index, fresh=index == 0 and start is None)
            about = {"rounds": np.array(index + 1), "default_joint_pos": default}
            if validation.is_due(index + 1):
                newest["validation"] = validation.judge(school.walker, school.weights() | about)
            records.append(newest)
            folder.write_json(RECORDS_FILE, records)
            folder.write_arrays(WALKER_FILE, school.weights() | about)
            bar.round_done(loss=f"{newest['loss']:.3f}", s_a_fall=f"{newest['seconds_a_fall']:.1f}")
    validation.take_best(school.walker)
    return school.walker, default


def load_bold_teacher(teachers: Path, name: str, gain: float, limit_rad: float = MAX_CORRECTION_RAD) -> LqrTeacher:
    """A motion's teacher with its gains times a factor: regression on noisy rollouts leaves them timid."""
    found = load_teacher(teachers, name)
    return replace(found, gains=gain * found.gains, limit_rad=limit_rad)


def _resumed(school: School, folder: WorkFolder) -> list[dict[str, float]]:
    if not (folder / WALKER_FILE).is_file():
        return []
    saved = folder.read_arrays(WALKER_FILE)
    take_weights(school.walker, saved)
    take_weights(school.student, saved, LEARNING)
    return folder.read_json(RECORDS_FILE)[: int(saved["rounds"])]
