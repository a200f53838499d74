"""`vm-train track_clips`: one policy that follows any clip of its kinds; which one, `reference` tells the node."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from vm_core.errors import VmError
from vm_training.export import check_policy_name, export_policy, tracking_contract
from vm_training.mdp.clip_tracking import ClipTracking
from vm_training.mdp.observations import ANY_CLIP_TERMS, SensorNoise, observe
from vm_training.progress import Progress
from vm_training.student import Student
from vm_training.tasks.climb_checks import Check, evaluate_student
from vm_training.tasks.clip_school import ClipSchoolConfig, train_clip_school
from vm_training.tasks.lqr_teachers import load_teacher
from vm_training.tasks.motion_folder import Motion, load_motion, motion_names
from vm_training.tasks.walk import good_motions
from vm_training.tasks.work_folder import WorkFolder


@dataclass(frozen=True)
class TrackClips:
    """A tracker of many clips: DAgger from their LQR teachers; checked on clips that it has never seen.

    Attributes:
        motions: folder of motions.
        teachers: folder of their teachers.
        out: policy file to write.
        unseen: folder of other motions that judge it, of another seed; no teachers needed.
        shown: name of the motion that the policy file carries as its own clip; by default the first.
        work: folder for what a resumed run needs; by default beside `out`.
        starts: robots on each unseen motion, under each condition.
        config: everything that decides the result.
    """

    motions: Path
    teachers: Path
    out: Path
    unseen: Path
    shown: str | None = None
    work: Path | None = None
    starts: int = 8
    config: ClipSchoolConfig = field(default_factory=ClipSchoolConfig)

    def run(self) -> int:
        check_policy_name(self.out)
        names = good_motions(self.motions, WorkFolder(self.teachers), self.config.least_teacher)
        shown = self.shown or names[0]
        if shown not in names:
            raise VmError(f"--shown {shown}: no such motion with a good teacher; there are {', '.join(names)}")
        unseen = [load_motion(self.unseen, name) for name in motion_names(self.unseen)]
        loaded = {name: (load_motion(self.motions, name), load_teacher(self.teachers, name)) for name in names}
        folder = WorkFolder(self.work or self.out.with_suffix(".training"))
        student, _ = train_clip_school(loaded, self.config, folder, self.motions)
        checks = self._judge(student, unseen)
        folder.write_json("evaluation.json", [asdict(check) for check in checks])
        own = loaded[shown][0]
        training = {"seed": self.config.seed, "commit": folder.commit, "checks": [asdict(check) for check in checks]}
        contract = tracking_contract(self.out.stem, own.clip, training, ANY_CLIP_TERMS)
        export_policy(student, contract, self._seen(own), self.out, own.clip)
        print(f"policy: {self.out}, which carries {shown}\nfollows {len(unseen)} clips that it has never seen to the "
              "end and stands for 3 s (collision shapes of the whole body, 2 ms):")  # fmt: skip
        for check in checks:
            print(f"  {check.condition:<20} {check.success:4.0%} of {check.starts}, {check.upright_s:.1f} s")
        return 0

    def _judge(self, student: Student, motions: list[Motion]) -> list[Check]:
        """Means over all motions, by condition."""
        found: dict[str, list[Check]] = {}
        with Progress("unseen clips", len(motions), unit="clip") as bar:
            for index, motion in enumerate(motions):
                seed, threads = self.config.seed + 5000 + index, self.config.threads
                for check in evaluate_student(
                    student, motion.clip, motion.scene,
                    seed=seed, starts=self.starts, threads=threads, terms=ANY_CLIP_TERMS,
                ):  # fmt: skip
                    found.setdefault(check.condition, []).append(check)
                bar.round_done(motion=motion.name, nominal=f"{found['nominal'][-1].success:.0%}")
        return [_mean(checks) for checks in found.values()]

    def _seen(self, motion: Motion) -> np.ndarray:
        """(inputs,) what a robot sees in the middle of a clip."""
        config = self.config
        env = ClipTracking(motion.clip, motion.scene, 1, config.ranges, config.start_noise, config.seed, threads=1)
        env.reset(np.zeros(1, dtype=int), np.array([motion.clip.num_frames // 2]))
        seen = observe(env, SensorNoise(), ANY_CLIP_TERMS)[0]
        env.physics.close()
        return seen


def _mean(checks: list[Check]) -> Check:
    starts = sum(check.starts for check in checks)
    success, upright_s = (float(np.mean([getattr(check, key) for check in checks])) for key in ("success", "upright_s"))
    return replace(checks[0], starts=starts, success=success, upright_s=upright_s)
