"""A walker's model card and learning curve, beside its policy file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vm_core.atomic_files import atomic_path
from vm_training.motions.planned import SIT
from vm_training.tasks.walk import RECORDS_FILE
from vm_training.tasks.walk_config import WalkConfig
from vm_training.tasks.walk_evaluation import NEAR_END_M, REST_S, WALK_S, CommandCheck, WalkCheck
from vm_training.tasks.work_folder import WorkFolder

_SITS = "sits on what is right behind its heels, with the command held until it does."


@dataclass(frozen=True)
class WalkReport:
    """What a model card tells.

    Attributes:
        records: of all rounds, earlier walkers' first; one list a stage.
        motions: number of motions by kind.
        config: of the last stage.
        command: with which it was trained.
        commit: of the sources.
        walked: checks on fresh courses.
        obeyed: checks under commands.
    """

    records: list[list[dict[str, float]]]
    motions: dict[str, int]
    config: WalkConfig
    command: str
    commit: str
    walked: list[WalkCheck]
    obeyed: list[CommandCheck]

    def write(self, policy: Path) -> None:
        """Writes `policy` with the endings .md and .png."""
        with atomic_path(policy.with_suffix(".png")) as temporary:
            _plot(self.records, temporary)
        with atomic_path(policy.with_suffix(".md")) as temporary:
            temporary.write_text(self.card(policy))

    def card(self, policy: Path) -> str:
        """The model card as Markdown."""
        rounds = " + ".join(str(len(stage)) for stage in self.records)
        steps = sum(stage[-1]["steps"] for stage in self.records if stage)
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.motions.items()))
        layers = ", ".join(map(str, self.config.hidden))
        lines = [
            f"# {policy.stem}",
            "Walks as a root command says, on flat ground and over steps and kerbs that its height grid shows. It",
            "has no clip and no odometry: gyro, gravity, joints, own actions (five frames), command, gait clock,",
            "11 × 11 heights." + (" Backwards means to sit down, if a seat is there." if SIT in self.motions else ""),
            "",
            f"- **Taught by** {sum(self.motions.values())} planned motions ({kinds}), each with a sampled LQR",
            f"  teacher; DAgger in {rounds} rounds, {steps:,.0f} control steps, layers {layers}.",
            f"- **Command:** `{self.command}`; seed {self.config.seed}, commit {self.commit}.",
            "- **Robots differ** in friction, payload, mass, gains, delay and step height; sensors are noisy.",
            f"- **Curve:** `{policy.with_suffix('.png').name}`, seconds a fall while learning, disturbed and pushed.",
            "",
            f"| fresh course | upright to within {NEAR_END_M} m of its end |",
            "|---|---|",
            *(f"| {c.kind} | {c.success:.0%} of {c.starts} on {c.courses} courses |" for c in self.walked),
            "",
            f"| command for {WALK_S:.0f} s, then {REST_S:.0f} s rest, flat | upright | speed | turn | drift at rest |",
            "|---|---|---|---|---|",
            *(
                f"| {c.command} | {c.success:.0%} of {c.starts} | {c.speed:.2f} m/s | {c.yaw_rate:+.2f} rad/s "
                f"| {100 * c.rest_drift_m:.1f} cm |"
                for c in self.obeyed
            ),
            "",
            "**Limits:** simulation only. Foot spheres on planes and boxes while learning, no torque-speed curve, no",
            "friction loss. Steps have a fixed time; a push that needs another step is a fall. Forward and turning",
            "only: no sideways or backward walk; " + (_SITS if SIT in self.motions else "no sitting."),
        ]
        return "\n".join(lines) + "\n"


def motions_by_kind(names: list[str]) -> dict[str, int]:
    """How many there are of each kind."""
    kinds = [name.rsplit("_", 1)[0] for name in names]
    return {kind: kinds.count(kind) for kind in sorted(set(kinds))}


def records_of(folder: WorkFolder, start: Path | None) -> list[list[dict[str, float]]]:
    """Rounds of an earlier walker, if there was one, and of this."""
    folders = [folder] if start is None or start.is_file() else [WorkFolder(start), folder]
    return [found.read_json(RECORDS_FILE) for found in folders if (found / RECORDS_FILE).is_file()]


def _plot(stages: list[list[dict[str, Any]]], out: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(6.0, 3.0), dpi=80)
    before = 0.0
    for number, stage in enumerate(stages, start=1):
        acted = [record for record in stage if record["seconds_a_fall"] > 0.0]
        steps = [(before + record["steps"]) / 1e6 for record in acted]
        axis.plot(steps, [record["seconds_a_fall"] for record in acted], marker=".", label=f"stage {number}")
        before += stage[-1]["steps"] if stage else 0.0
    axis.set_xlabel("control steps [million]")
    axis.set_ylabel("seconds a fall")
    axis.set_yscale("log")  # robots that have just been put on their feet seldom fall
    axis.grid(alpha=0.3)
    axis.legend(loc="lower right")
    figure.tight_layout()
    figure.savefig(out, format="png")
    pyplot.close(figure)
