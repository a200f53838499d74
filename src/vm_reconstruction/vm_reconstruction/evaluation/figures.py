"""All figures of one estimate against the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vm_core.errors import VmError
from vm_core.scene_asset import SceneAsset, SceneBox
from vm_reconstruction.datasets.synthetic.video_truth import VideoTruth
from vm_reconstruction.evaluation import protocol, scene_metrics
from vm_reconstruction.evaluation.methods import Estimate
from vm_reconstruction.evaluation.terrain import drop_test
from vm_reconstruction.evaluation.treads import edge_errors, match_steps
from vm_reconstruction.human_motion import HumanMotion, joint_index
from vm_reconstruction.stages.scene import scene_of

_SOLES = [[joint_index(f"{side}_{part}") for part in ("heel", "toe")] for side in ("left", "right")]
TOUCHING_M = 0.02  # joints less deep in the scene lie on it: soles do nearly always


@dataclass(frozen=True)
class VideoFigures:
    """One estimate's errors; the mean over people where there are several.

    Attributes:
        w_mpjpe_mm, wa_mpjpe_mm, pa_mpjpe_mm, mpjpe_mm: see `protocol`.
        rte_percent: pelvis path after rigid alignment, of the way.
        acceleration_m_s2: error of joint accelerations.
        skate_cm_s: speed of feet that stand.
        penetration_cm: mean depth of soles inside the true scene, after rigid alignment.
        non_penetration: share of joints that are not inside the true scene, after rigid alignment.
        scale_percent: signed error of metres per unit.
        camera_mm, camera_scaled_mm: ATE after rigid and after similarity alignment.
        vertical_deg: between the verticals that the cameras see, mean over frames.
        chamfer_m: static points; plane_cm: what lies on estimated planes against the truth of the same pixels.
        contact_agreement: share of frames and feet with the right contact.
        steps_true, tread_errors_cm: treads under the feet, and errors of the heights of those found.
        edges_true, edge_errors_cm: edges that the way crosses, and errors of the places of those found.
        pieces, drop_mm: of the scene with its steps in MuJoCo, see `terrain`; 0 where the video has no steps.
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
    non_penetration: float
    scale_percent: float
    camera_mm: float
    camera_scaled_mm: float
    vertical_deg: float
    chamfer_m: float
    plane_cm: float
    contact_agreement: float
    steps_true: int
    tread_errors_cm: list[float]
    edges_true: int
    edge_errors_cm: list[float]
    pieces: int
    drop_mm: float
    seconds: float


def measure(found: Estimate, truth: VideoTruth, units_a_metre: float) -> VideoFigures:
    """All figures of one video."""
    people = [_person(e, t, truth) for e, t in zip(found.people, truth.people, strict=True)]
    mean = {name: float(np.mean([person[name] for person in people])) for name in people[0]}
    camera, exact = found.T_world_camera[:, :3, 3], truth.T_world_camera[:, :3, 3]
    scene = _scene_of(found.people[0]) if any(_is_step(box) for box in truth.scene.boxes) else None
    true_tops, tops, true_edges, edges = _steps(scene, found.people[0], truth)
    exact_points = scene_metrics.true_points(found.pixels, truth)
    tolerance = scene_metrics.plane_tolerance(found.pixels.depth)
    pieces, drop_mm = drop_test(scene) if scene is not None else (0, 0.0)
    return VideoFigures(
        **mean,
        scale_percent=100.0 * (found.scale * units_a_metre - 1.0),
        camera_mm=protocol.camera_error(camera, exact, scale=False),
        camera_scaled_mm=protocol.camera_error(camera, exact, scale=True),
        vertical_deg=protocol.vertical_error(found.T_world_camera[:, :3, :3], truth.T_world_camera[:, :3, :3]),
        chamfer_m=scene_metrics.chamfer(found.points, exact_points),
        plane_cm=100.0 * scene_metrics.plane_error(found.points, exact_points, tolerance),
        steps_true=true_tops,
        tread_errors_cm=[100.0 * abs(a - b) for a, b in tops],
        edges_true=true_edges,
        edge_errors_cm=[100.0 * error for error in edges],
        pieces=pieces,
        drop_mm=drop_mm,
        seconds=found.seconds,
    )


def _person(estimate: HumanMotion, truth: HumanMotion, video: VideoTruth) -> dict[str, float]:
    a, b = estimate.joint_pos_world, truth.joint_pos_world
    moved = protocol.aligned(a, a, b, scale=False)
    soles, under = moved[:, _SOLES], video.scene.height_at(moved[..., :2].reshape(-1, 2)).reshape(moved.shape[:-1])
    return {
        "w_mpjpe_mm": protocol.w_mpjpe(a, b),
        "wa_mpjpe_mm": protocol.wa_mpjpe(a, b),
        "pa_mpjpe_mm": protocol.pa_mpjpe(a, b),
        "mpjpe_mm": protocol.mpjpe(a, b),
        "rte_percent": protocol.root_error(a[:, 0], b[:, 0]),
        "acceleration_m_s2": protocol.acceleration_error(a, b, truth.fps),
        "skate_cm_s": protocol.foot_skate(a[:, _SOLES], truth.contact[:, :2], truth.fps),
        "penetration_cm": 100.0 * float(np.maximum(under[:, _SOLES] - soles[..., 2], 0.0).mean()),
        "non_penetration": float(np.mean(moved[..., 2] > under - TOUCHING_M)),
        "contact_agreement": float(np.mean((estimate.contact[:, :2] > 0.5) == (truth.contact[:, :2] > 0.5))),
    }


def _is_step(box: SceneBox) -> bool:
    return box.label.startswith("step")


def _steps(
    scene: SceneAsset | None, person: HumanMotion, truth: VideoTruth
) -> tuple[int, list[tuple[float, float]], int, list[float]]:
    """How many treads there are, pairs of heights of those found, edges on the way, errors of those found."""
    boxes = [box for box in truth.scene.boxes if _is_step(box)]
    if scene is None:
        return len(boxes), [], 0, []
    a, b = person.joint_pos_world, truth.people[0].joint_pos_world
    R, t, _ = protocol.similarity(a.reshape(-1, 3), b.reshape(-1, 3), scale=False)

    def height(xy: np.ndarray) -> np.ndarray:  # the turn about the vertical is nearly all of R
        return scene.height_at((np.column_stack([xy, np.zeros(len(xy))]) - t) @ R[:, :2])

    return len(boxes), match_steps(scene, boxes), *edge_errors(b[:, 0, :2], truth.scene.height_at, height)


def _scene_of(person: HumanMotion) -> SceneAsset | None:
    try:
        return scene_of(person) if person.contact[:, :2].any() else None
    except VmError:  # no stance that could carry a scene
        return None
