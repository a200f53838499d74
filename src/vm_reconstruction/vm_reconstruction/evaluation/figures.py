"""All figures of one estimate against the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vm_core.errors import VmError
from vm_reconstruction.datasets.synthetic.video_truth import VideoTruth
from vm_reconstruction.evaluate import match_steps
from vm_reconstruction.evaluation import protocol, scene_metrics
from vm_reconstruction.evaluation.methods import Estimate
from vm_reconstruction.human_motion import HumanMotion, joint_index
from vm_reconstruction.stages.scene import scene_of

_SOLES = [[joint_index(f"{side}_{part}") for part in ("heel", "toe")] for side in ("left", "right")]


@dataclass(frozen=True)
class VideoFigures:
    """One estimate's errors; the mean over people where there are several.

    Attributes:
        w_mpjpe_mm, wa_mpjpe_mm, pa_mpjpe_mm, mpjpe_mm: see `protocol`.
        rte_percent: pelvis path after rigid alignment, of the way.
        acceleration_m_s2: error of joint accelerations.
        skate_cm_s: speed of feet that stand.
        penetration_cm: mean depth of soles inside the true scene, after rigid alignment.
        scale_percent: signed error of metres per unit.
        camera_mm, camera_scaled_mm: ATE after rigid and after similarity alignment.
        chamfer_m: static points.
        contact_agreement: share of frames and feet with the right contact.
        steps_true, steps_found, step_height_cm: treads under the feet, and the mean error of their heights.
        seconds: of the estimate.
    """

    w_mpjpe_mm: float
    wa_mpjpe_mm: float
    pa_mpjpe_mm: float
    mpjpe_mm: float
    rte_percent: float
    acceleration_m_s2: float
    skate_cm_s: float
    penetration_cm: float
    scale_percent: float
    camera_mm: float
    camera_scaled_mm: float
    chamfer_m: float
    contact_agreement: float
    steps_true: int
    steps_found: int
    step_height_cm: float | None
    seconds: float


def measure(found: Estimate, truth: VideoTruth, units_a_metre: float) -> VideoFigures:
    """All figures of one video."""
    people = [_person(e, t, truth) for e, t in zip(found.people, truth.people, strict=True)]
    mean = {name: float(np.mean([person[name] for person in people])) for name in people[0]}
    camera, exact = found.T_world_camera[:, :3, 3], truth.T_world_camera[:, :3, 3]
    true_tops, tops = _steps(found.people[0], truth)
    return VideoFigures(
        **mean,
        scale_percent=100.0 * (found.scale * units_a_metre - 1.0),
        camera_mm=protocol.camera_error(camera, exact, scale=False),
        camera_scaled_mm=protocol.camera_error(camera, exact, scale=True),
        chamfer_m=scene_metrics.chamfer(found.points, scene_metrics.true_points(found.pixels, truth)),
        steps_true=true_tops,
        steps_found=len(tops),
        step_height_cm=100.0 * float(np.mean([abs(a - b) for a, b in tops])) if tops else None,
        seconds=found.seconds,
    )


def _person(estimate: HumanMotion, truth: HumanMotion, video: VideoTruth) -> dict[str, float]:
    a, b = estimate.joint_pos_world, truth.joint_pos_world
    moved = protocol.aligned(a, a, b, scale=False)
    soles = moved[:, _SOLES]
    surface = video.scene.height_at(soles[..., :2].reshape(-1, 2)).reshape(soles.shape[:-1])
    return {
        "w_mpjpe_mm": protocol.w_mpjpe(a, b),
        "wa_mpjpe_mm": protocol.wa_mpjpe(a, b),
        "pa_mpjpe_mm": protocol.pa_mpjpe(a, b),
        "mpjpe_mm": protocol.mpjpe(a, b),
        "rte_percent": protocol.root_error(a[:, 0], b[:, 0]),
        "acceleration_m_s2": protocol.acceleration_error(a, b, truth.fps),
        "skate_cm_s": protocol.foot_skate(a[:, _SOLES], truth.contact[:, :2], truth.fps),
        "penetration_cm": 100.0 * float(np.maximum(surface - soles[..., 2], 0.0).mean()),
        "contact_agreement": float(np.mean((estimate.contact[:, :2] > 0.5) == (truth.contact[:, :2] > 0.5))),
    }


def _steps(person: HumanMotion, truth: VideoTruth) -> tuple[int, list[tuple[float, float]]]:
    """How many treads there are, and pairs of estimated and true heights of those found."""
    boxes = [box for box in truth.scene.boxes if box.label.startswith("step")]
    if not boxes or not person.contact[:, :2].any():
        return len(boxes), []
    try:
        return len(boxes), match_steps(scene_of(person), boxes)
    except VmError:  # no stance that could carry a scene
        return len(boxes), []
