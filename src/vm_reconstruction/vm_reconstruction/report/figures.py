"""The report's numbers: what was measured, what is uncertain, and what the reader should not trust."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vm_core.errors import VmError
from vm_core.motion_clip import MotionClip
from vm_core.scene_asset import SceneAsset
from vm_reconstruction.human_motion import HumanMotion
from vm_reconstruction.manifest import Manifest
from vm_reconstruction.render.projection import project
from vm_reconstruction.stages.body import BodyTrack
from vm_reconstruction.stages.camera import CameraMotion
from vm_reconstruction.stages.frames import FrameSource

POOR_REPROJECTION_SHARE = 0.015  # of the picture's longer side
POOR_HEIGHT_STD_M = 0.04
FEW_FEATURES = 40

Row = tuple[str, str]


@dataclass(frozen=True)
class RunFiles:
    """What a run left, read once."""

    out: Path
    source: FrameSource
    motion: HumanMotion
    camera: CameraMotion
    track: BodyTrack
    scene: SceneAsset | None
    robot_scene: SceneAsset | None
    clip: MotionClip | None

    @classmethod
    def load(cls, out: Path) -> RunFiles:
        """Reads OUT; raises VmError that names the first missing stage file."""
        stages = out / "stages"
        for path in (stages / "frames.json", stages / "camera.npz", stages / "body.npz", out / "human.npz"):
            if not path.is_file():
                raise VmError(f"no {path.relative_to(out)} in {out}; expected a folder written by vm-reconstruct")
        folders = [folder if folder.is_dir() else None for folder in (stages / "scene", out / "scene")]
        scene, robot_scene = (SceneAsset.load(folder) if folder else None for folder in folders)
        return cls(
            out,
            FrameSource.load(stages / "frames.json"),
            HumanMotion.load(out / "human.npz"),
            CameraMotion.load(stages / "camera.npz"),
            BodyTrack.load(stages / "body.npz"),
            scene,
            robot_scene,
            MotionClip.load(out / "clip.npz") if (out / "clip.npz").is_file() else None,
        )


def camera_turn_deg(camera: CameraMotion) -> float:
    """Largest angle between the first camera direction and any later one [deg]."""
    trace = np.trace(camera.R_cam_first, axis1=1, axis2=2)
    return float(np.rad2deg(np.arccos(np.clip((trace - 1.0) / 2.0, -1.0, 1.0)).max()))


def outside_share(run: RunFiles) -> float:
    """Share of the frames in which more than a quarter of the joints fall outside the picture."""
    size = np.array([run.source.width, run.source.height])
    outside = []
    for joints, pose in zip(run.motion.joint_pos_world, run.track.T_world_camera, strict=True):
        pixels = project(joints, run.track.K, pose)[:, :2]
        outside.append(float(np.mean(((pixels < 0) | (pixels >= size)).any(axis=1))) > 0.25)
    return float(np.mean(outside))


def video_rows(run: RunFiles) -> list[Row]:
    """Video, camera and person."""
    source, motion = run.source, run.motion
    pitch, roll = run.track.camera_tilt_deg
    path = motion.joint("pelvis")
    told = [("vertical, told by", run.track.vertical_source)] if run.track.vertical_source else []
    return [
        ("frames", f"{motion.num_frames} at {motion.fps:.4g} per second, {motion.duration_s:.1f} s"),
        ("picture", f"{source.source_width}x{source.source_height}, worked on at {source.width}x{source.height}"),
        ("focal length", f"{source.focal_px:.0f} px; {source.focal_source}"),
        ("camera", f"turns by up to {camera_turn_deg(run.camera):.1f}°; at first pitch {pitch:.1f}°, roll {roll:.1f}°"),
        *told,
        ("background left by the rotation", f"{np.median(run.camera.residual_px):.2f} px, median"),
        ("person's height (the ruler)", f"{motion.height_m:.2f} m"),
        ("person seen", f"{100 * np.mean(motion.confidence > 0.3):.0f} % of the frames"),
        ("skeleton against landmarks", f"{np.mean(run.track.reprojection_px):.1f} px mean, "
         f"{np.percentile(run.track.reprojection_px, 95):.1f} px at 95 %"),
        ("pelvis", f"path {np.linalg.norm(np.diff(path, axis=0), axis=1).sum():.2f} m, "
         f"height {path[:, 2].min():.2f} to {path[:, 2].max():.2f} m"),
    ]  # fmt: skip


def scene_rows(run: RunFiles) -> list[Row]:
    """Ground and boxes in the person's size."""
    if run.scene is None:
        return []
    a, b, _ = run.scene.ground
    slope = np.rad2deg(np.arctan(np.hypot(a, b)))
    rows = [("ground", f"slope {slope:.1f}°, height ± {100 * run.scene.ground_std_m:.1f} cm")]
    for box in run.scene.boxes:
        above = box.top - float(run.scene.ground_height_at(np.array([box.center_world[:2]]))[0])
        size = f"{2 * box.half_size[0]:.2f} x {2 * box.half_size[1]:.2f} m"
        rows.append((box.label, f"top {100 * above:.1f} ± {100 * box.height_std_m:.1f} cm above the ground, {size}"))
    return rows


def robot_rows(run: RunFiles) -> list[Row]:
    """The G1's clip."""
    if run.clip is None:
        return []
    clip, z = run.clip, run.clip.root_pos_world[:, 2]
    rows = [
        ("clip", f"{clip.num_frames} frames at {clip.fps:.4g} per second, {len(clip.joint_names)} joints"),
        ("root height", f"{z.min():.2f} to {z.max():.2f} m"),
        ("fastest joint", _fastest(clip)),
    ]
    if run.robot_scene is not None:
        rows.append(("scene for the robot", f"scaled by {run.robot_scene.scale:.3f}"))
    return rows + _retarget_rows(run.out / "stages" / "retarget.json")


def _retarget_rows(path: Path) -> list[Row]:
    """The retargeting's own figures, under its own names (the unit ends each name)."""
    try:
        metrics = json.loads(path.read_text())
        return [(name.replace("_", " "), f"{float(value):.4g}") for name, value in metrics.items()]
    except (OSError, ValueError, TypeError, AttributeError):
        return []  # an older run has no such file; the page shows what is there


def _fastest(clip: MotionClip) -> str:
    speed = np.abs(clip.joint_vel).max(axis=0)
    worst = int(speed.argmax())
    return f"{clip.joint_names[worst]}, {speed[worst]:.1f} rad/s"


def truth_rows(out: Path) -> list[Row]:
    """Errors against the truth, where vm-evaluate-reconstruction has written them."""
    path = out / "evaluation.json"
    if not path.is_file():
        return []
    try:
        e = json.loads(path.read_text())
        rows = [
            ("pelvis error", f"{100 * e['pelvis_error_m']:.1f} cm (goal ≤ 10 cm)"),
            ("joint error, root-aligned", f"{100 * e['joint_error_m']:.1f} cm (goal ≤ 8 cm)"),
            ("scale error", f"{100 * e['scale_error']:.1f} % (goal ≤ 5 %)"),
            ("steps found", f"{e['steps_found']} of {e['steps_true']}"),
        ]
        if e["step_height_error_m"] is not None:
            rows.append(("step height error", f"{100 * e['step_height_error_m']:.1f} cm"))
        return rows
    except (ValueError, KeyError, TypeError) as error:
        raise VmError(
            f"{path} is not an evaluation ({error!r}); remove it or run vm-evaluate-reconstruction"
        ) from error


def warnings(run: RunFiles) -> list[str]:
    """What the reader should not trust, in sentences; empty when nothing stands out."""
    found = [f"{text[0].upper()}{text[1:]}." for text in Manifest.load(run.out / "manifest.json").warnings]
    if "assumed" in run.source.focal_source:
        found.append(
            "The focal length is assumed, not known: distances along the view direction scale with it. Give --fov."
        )
    unseen = float(np.mean(run.motion.confidence <= 0.3))
    if unseen > 0.05:
        found.append(
            f"The person was not seen well in {100 * unseen:.0f} % of the frames; the pose there is interpolated."
        )
    limit = POOR_REPROJECTION_SHARE * max(run.source.width, run.source.height)
    error = float(np.mean(run.track.reprojection_px))
    if error > limit:
        found.append(f"The skeleton lies {error:.1f} px beside the landmarks on average (more than {limit:.0f} px).")
    few = float(np.mean(run.camera.features[1:] < FEW_FEATURES)) if len(run.camera.features) > 1 else 0.0
    if few > 0.2:
        found.append(f"Few background features in {100 * few:.0f} % of the frames; the camera's rotation is unsure.")
    for box in run.scene.boxes if run.scene else ():
        if box.height_std_m > POOR_HEIGHT_STD_M:
            found.append(f"The height of {box.label!r} is unsure: ± {100 * box.height_std_m:.0f} cm.")
    return found
