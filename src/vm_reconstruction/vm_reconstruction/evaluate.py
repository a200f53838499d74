"""`vm-evaluate-reconstruction OUT --truth NPZ`: how far a reconstruction is from the truth, in metres and per cent.

Worlds are aligned by one turn about the vertical and one shift, found on the pelvis' path; sizes are never aligned, for
the size is what the reconstruction has to find. Frames without a person (confidence 0) count like all others.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from vm_core import command_line
from vm_core.atomic_files import atomic_path
from vm_core.errors import VmError
from vm_core.motion_clip import read_npz
from vm_core.scene_asset import SceneAsset, SceneBox
from vm_reconstruction.evaluation.protocol import vertical_error
from vm_reconstruction.evaluation.treads import match_steps
from vm_reconstruction.human_motion import PARENTS, HumanMotion

HUMAN_FILE, SCENE_FOLDERS, RESULT_FILE = "human.npz", ("stages/scene", "scene"), "evaluation.json"


@dataclass(frozen=True)
class Alignment:
    """Brings estimated world points onto the true world: turn by `yaw` [rad] about z, then shift (3,) [m]."""

    yaw: float
    shift: np.ndarray

    @property
    def rotation(self) -> np.ndarray:
        """(3, 3) about z."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) [m] in the true world."""
        return points @ self.rotation.T + self.shift


@dataclass(frozen=True)
class ReconstructionErrors:
    """Errors of one reconstruction; lengths in metres, ratios as fractions.

    Attributes:
        frames: compared frames.
        pelvis_error_m, pelvis_error_p95_m: distance of pelvis positions after alignment, mean and 95th percentile.
        joint_error_m: mean distance over joints and frames, pelvis moved onto pelvis in each frame.
        scale_error: |s - 1| of the factor s between estimated and true pelvis path (best yaw, shift and scale).
        body_scale_error: |ratio - 1| of summed limb lengths.
        ground_height_error_m: lowest true foot contact against the estimated ground there.
        step_height_error_m: mean absolute error of the step tops above the ground; None without a matched step.
        steps_true, steps_found: number of steps, and how many estimated ones match.
        contact_agreement: share of frames and feet with the right contact state.
        joint_errors_m: joint_error_m by joint.
        yaw_deg, shift_m: the alignment.
        vertical_error_deg: between the verticals that the cameras see, mean over frames; None without true cameras.
    """

    frames: int
    pelvis_error_m: float
    pelvis_error_p95_m: float
    joint_error_m: float
    scale_error: float
    body_scale_error: float
    ground_height_error_m: float | None
    step_height_error_m: float | None
    steps_true: int
    steps_found: int
    contact_agreement: float
    joint_errors_m: dict[str, float]
    yaw_deg: float
    shift_m: tuple[float, ...]
    vertical_error_deg: float | None = None


def align(estimate: np.ndarray, truth: np.ndarray) -> Alignment:
    """Least-squares yaw and shift (no scale) between paths (T, 3) [m]: Umeyama's solution, turns about z only."""
    a, b = estimate - estimate.mean(axis=0), truth - truth.mean(axis=0)
    yaw = float(np.arctan2(np.sum(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]), np.sum(a[:, :2] * b[:, :2])))
    turn = Alignment(yaw, np.zeros(3))
    return Alignment(yaw, truth.mean(axis=0) - turn.apply(estimate.mean(axis=0)))


def path_scale(estimate: np.ndarray, truth: np.ndarray) -> float:
    """Size of the estimated path (T, 3) divided by the true one's, at the best yaw and shift."""
    turned = align(estimate, truth).apply(estimate)
    a, b = turned - turned.mean(axis=0), truth - truth.mean(axis=0)
    size = float(np.sum(b**2))
    if size < 1e-6:
        raise VmError("the true pelvis does not move; a path's scale needs motion")
    return float(np.sum(a * b)) / size


def at_times(motion: HumanMotion, times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Joint positions (T, J, 3) [m] and contacts (T, C) of a motion at given times [s], linear between frames."""
    own = np.arange(motion.num_frames) / motion.fps

    def at(values: np.ndarray) -> np.ndarray:
        flat = values.reshape(len(values), -1)
        return np.stack([np.interp(times_s, own, c) for c in flat.T], axis=1).reshape(len(times_s), *values.shape[1:])

    return at(motion.joint_pos_world), at(motion.contact)


def compare(
    estimate: HumanMotion, truth: HumanMotion, scene: SceneAsset | None, boxes: list[SceneBox]
) -> ReconstructionErrors:
    """Errors of an estimate; `scene` is the human-sized one in the estimate's world, `boxes` the true steps."""
    if estimate.joint_names != truth.joint_names:
        raise VmError(f"joints differ: estimate {list(estimate.joint_names)}, truth {list(truth.joint_names)}")
    times = np.arange(estimate.num_frames) / estimate.fps
    times = times[times <= truth.duration_s + 0.5 / truth.fps]
    true_pos, true_contact = at_times(truth, times)
    joints, contact = estimate.joint_pos_world[: len(times)], estimate.contact[: len(times)]
    alignment = align(joints[:, 0], true_pos[:, 0])
    moved = alignment.apply(joints)
    pelvis = np.linalg.norm(moved[:, 0] - true_pos[:, 0], axis=-1)
    rooted = np.linalg.norm((moved - moved[:, :1]) - (true_pos - true_pos[:, :1]), axis=-1)
    tops = match_steps(scene, boxes) if scene else []
    return ReconstructionErrors(
        frames=len(times),
        pelvis_error_m=float(pelvis.mean()),
        pelvis_error_p95_m=float(np.percentile(pelvis, 95)),
        joint_error_m=float(rooted[:, 1:].mean()),
        scale_error=abs(path_scale(joints[:, 0], true_pos[:, 0]) - 1.0),
        body_scale_error=abs(_limb_length(joints) / _limb_length(true_pos) - 1.0),
        ground_height_error_m=_ground_error(scene, alignment, true_pos, truth.joint_names) if scene else None,
        step_height_error_m=float(np.mean([abs(a - b) for a, b in tops])) if tops else None,
        steps_true=len(boxes),
        steps_found=len(tops),
        contact_agreement=float(np.mean((contact[:, :2] > 0.5) == (true_contact[:, :2] > 0.5))),
        joint_errors_m={n: float(e) for n, e in zip(truth.joint_names, rooted.mean(axis=0), strict=True)},
        yaw_deg=float(np.rad2deg(alignment.yaw)),
        shift_m=tuple(float(x) for x in alignment.shift),
    )


def _limb_length(joints: np.ndarray) -> float:
    limbs = [j for j, p in enumerate(PARENTS) if p >= 0]
    parents = [PARENTS[j] for j in limbs]
    return float(np.median(np.linalg.norm(joints[:, limbs] - joints[:, parents], axis=-1).sum(axis=-1)))


def _ground_error(scene: SceneAsset, alignment: Alignment, true_pos: np.ndarray, names: tuple[str, ...]) -> float:
    """Estimated ground against the true z = 0 under the true feet of the first second, in the aligned world."""
    feet = true_pos[:30, [names.index("left_heel"), names.index("right_heel")]].reshape(-1, 3)
    back = (feet - alignment.shift) @ alignment.rotation
    return float(np.mean(np.abs(scene.ground_height_at(back[:, :2]) + alignment.shift[2])))


def load_truth(path: Path) -> tuple[HumanMotion, list[SceneBox]]:
    """A truth file of vm-make-demo-video: the motion and the boxes (none where the file has none)."""
    motion = HumanMotion.load(path)
    content = read_npz(path, str(path))
    try:
        listed = json.loads(str(content["boxes"][()])) if "boxes" in content else []
        return motion, [SceneBox(**box) for box in listed]
    except (TypeError, ValueError, RecursionError) as error:
        raise VmError(f"{path}: its boxes are not scene boxes ({error})") from None


def evaluate(out: Path, truth_path: Path) -> ReconstructionErrors:
    """Compares the folder of one vm-reconstruct run with the truth; writes OUT/evaluation.json and its report."""
    if not (out / HUMAN_FILE).is_file():
        raise VmError(f"{out} has no {HUMAN_FILE}; expected a folder written by vm-reconstruct")
    truth, boxes = load_truth(truth_path)
    folder = next((out / name for name in SCENE_FOLDERS if (out / name).is_dir()), None)
    scene = SceneAsset.load(folder) if folder else None
    if scene and abs(scene.scale - 1.0) > 1e-6:
        scene = None  # a scene at the robot's size cannot be measured against the person's world
    errors = compare(HumanMotion.load(out / HUMAN_FILE), truth, scene, boxes)
    errors = replace(errors, vertical_error_deg=_vertical_error(out / "stages" / "body.npz", truth_path))
    with atomic_path(out / RESULT_FILE) as temporary:
        temporary.write_text(json.dumps(asdict(errors), indent=1))
    _refresh_report(out)
    return errors


def _vertical_error(track: Path, truth_path: Path) -> float | None:
    """None where the run or the truth has no cameras, or other frames."""
    true = read_npz(truth_path, str(truth_path)).get("T_world_camera")
    if true is None or not track.is_file():
        return None
    found = read_npz(track, str(track))["T_world_camera"]
    if found.shape != true.shape:
        return None
    return vertical_error(found[:, :3, :3], true[:, :3, :3])


def _refresh_report(out: Path) -> None:
    """Brings the figures onto the run's page, where it has one."""
    if not (out / "report.html").is_file() or not (out / "config.json").is_file():
        return
    from vm_reconstruction import report  # heavy: drawings

    report.write_page(out, Path(json.loads((out / "config.json").read_text())["video"]))


def print_table(errors: ReconstructionErrors) -> None:
    """The figures with their goals, for people."""
    table = Table(title="reconstruction against truth")
    for column in ("figure", "value", "goal"):
        table.add_column(column, justify="left" if column == "figure" else "right")
    step, vertical = errors.step_height_error_m, errors.vertical_error_deg
    rows = [
        ("pelvis error, mean", f"{100 * errors.pelvis_error_m:.1f} cm", "≤ 10 cm"),
        ("pelvis error, 95 %", f"{100 * errors.pelvis_error_p95_m:.1f} cm", ""),
        ("joint error, root-aligned", f"{100 * errors.joint_error_m:.1f} cm", "≤ 8 cm"),
        ("scale error", f"{100 * errors.scale_error:.1f} %", "≤ 5 %"),
        ("body scale error", f"{100 * errors.body_scale_error:.1f} %", ""),
        ("step height error", "no step found" if step is None else f"{100 * step:.1f} cm", ""),
        ("steps found", f"{errors.steps_found} of {errors.steps_true}", ""),
        ("vertical", "unknown" if vertical is None else f"{vertical:.1f}°", ""),
        ("foot contact agreement", f"{100 * errors.contact_agreement:.0f} %", ""),
    ]
    for row in rows:
        table.add_row(*row)
    Console(stderr=True).print(table)


@dataclass(frozen=True)
class EvaluationConfig:
    """Measures against exact truth: one reconstruction (--truth), or the solver on a synthetic set (--dataset).

    Prints a table (stderr) and JSON (stdout); writes OUT/evaluation.json, for a set also OUT/evaluation.png.

    Attributes:
        out: folder written by vm-reconstruct; for a set: folder for the results.
        truth: .npz written by vm-make-demo-video.
        dataset: folder written by vm-make-dataset; a noisy oracle plays the perception networks.
        methods: of "published start", "published" (VideoMimic's objective), "joint start", "joint"; all by default.
        seed: of the oracle's noise.
        strength: of the oracle's noise; 0: exact observations in unknown units.
    """

    out: Annotated[Path, tyro.conf.Positional]
    truth: Path | None = None
    dataset: Path | None = None
    methods: tuple[str, ...] = ()
    seed: int = 0
    strength: float = 1.0

    def __post_init__(self) -> None:
        if (self.truth is None) == (self.dataset is None):
            raise VmError("expected either --truth FILE.npz (one reconstruction) or --dataset FOLDER (a synthetic set)")


def _main() -> None:
    config = tyro.cli(EvaluationConfig, prog="vm-evaluate-reconstruction")
    if config.dataset is not None:
        from vm_reconstruction.evaluation import dataset, methods  # they use this module

        names = list(config.methods) or list(methods.METHODS)
        result = dataset.evaluate_dataset(config.dataset, config.out, names, config.seed, config.strength)
        dataset.print_table(result)
        print(json.dumps(result["summary"]))
        return
    assert config.truth is not None
    errors = evaluate(config.out, config.truth)
    print_table(errors)
    print(json.dumps(asdict(errors)))


def main() -> None:
    """Entry point of vm-evaluate-reconstruction."""
    command_line.run(_main)


if __name__ == "__main__":
    main()
