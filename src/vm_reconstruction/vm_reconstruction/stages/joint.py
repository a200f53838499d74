"""Stage 3 of the joint solver: people, cameras and the scene's scale from stages/observations.npz, in the world."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from vm_core.atomic_files import atomic_path
from vm_core.errors import VmError
from vm_reconstruction.geometry import clouds
from vm_reconstruction.human_motion import HumanMotion
from vm_reconstruction.observations import Observations
from vm_reconstruction.progress import warn
from vm_reconstruction.render.projection import project
from vm_reconstruction.solver.body_problem import BONES, POINTS
from vm_reconstruction.solver.joint import solve
from vm_reconstruction.stages import mirrors, observe
from vm_reconstruction.stages.body import BodyTrack
from vm_reconstruction.stages.camera import CameraMotion
from vm_reconstruction.stages.frames import FrameSource

POINTS_FILE, RECORD_FILE, PEOPLE = "stages/points.npz", "stages/joint.json", "people"
CLOUD_FRAMES, PIXEL_STEP = 40, 3  # of the depth pictures that become points
GROUND_PERCENT = 10.0  # of the standing soles' heights: the lowest level, but for outliers
GROUND_NEAR_M, GROUND_SEEN_SHARE = 0.25, 0.2  # points so near to so many of the resting soles show the ground
SURE = 0.3  # confidence above which an image point counts


def run(out: Path) -> HumanMotion:
    """Solves; writes human.npz (the first person), people/, stages/{body,camera,points}.npz, stages/joint.json.

    Raises:
        VmError: a person is seen too rarely, or nobody ever rests on anything.
    """
    source = FrameSource.load(out / "stages" / "frames.json")
    observed = Observations.load(out / observe.FILE)
    found = solve.solve(observed, uncertain=True)
    shift = _origin(found.people[0])
    people = tuple(replace(p, joint_pos_world=p.joint_pos_world - shift) for p in found.people)
    T = found.T_world_camera.copy()
    T[:, :3, 3] -= shift
    _save_people(out, people)
    track = replace(_track(people[0], T, observed, source), vertical_source=found.vertical_source)
    track.save(out / "stages" / "body.npz")
    _camera(T, observed, source).save(out / "stages" / "camera.npz")
    points = _static_points(observed, found.scale, T)
    _save_points(out / POINTS_FILE, points)
    for k, person in enumerate(people):
        tell_unseen_ground(person, points, f"person {k + 1}")
    record = {"scale_m_per_unit": found.scale, "scale_std": found.scale_std, "iterations": found.iterations}
    record["reflections"] = mirrors.tell_reflections(people)
    record["root_std_m"] = [float(np.sqrt(np.trace(c, axis1=1, axis2=2)).mean()) for c in found.root_cov]
    with atomic_path(out / RECORD_FILE) as temporary:
        temporary.write_text(json.dumps(record, indent=1))
    return people[0]


def _origin(motion: HumanMotion) -> np.ndarray:
    """The point (3,) on the ground under the first person's first pelvis."""
    lowest = []
    for side in ("left", "right"):
        stands = motion.contact[:, motion.contact_names.index(f"{side}_foot")] > 0.5
        sole = np.minimum(motion.joint(f"{side}_heel")[:, 2], motion.joint(f"{side}_toe")[:, 2])
        lowest.append(sole[stands])
    soles = np.concatenate(lowest)
    if not len(soles) and not motion.contact.any():
        raise VmError("no foot and no seat ever rests on anything in this video; expected a person on the ground")
    ground = float(np.percentile(soles, GROUND_PERCENT)) if len(soles) else float(motion.joint_pos_world[..., 2].min())
    return np.append(motion.joint("pelvis")[0, :2], ground)


def _save_people(out: Path, people: tuple[HumanMotion, ...]) -> None:
    (out / PEOPLE).mkdir(exist_ok=True)
    for old in (out / PEOPLE).glob("person_*.npz"):
        old.unlink()
    for k, person in enumerate(people):
        person.save(out / PEOPLE / f"person_{k + 1}.npz")
    people[0].save(out / "human.npz")


def _matrix(observed: Observations, source: FrameSource) -> np.ndarray:
    """Intrinsics of the working image."""
    return np.diag([source.width / observed.size[0], source.height / observed.size[1], 1.0]) @ observed.matrix


def _track(motion: HumanMotion, T: np.ndarray, observed: Observations, source: FrameSource) -> BodyTrack:
    K, person = _matrix(observed, source), observed.people[0]
    index = [motion.joint_names.index(name) for name in POINTS]
    pixels = np.stack([project(joints[index], K, pose) for joints, pose in zip(motion.joint_pos_world, T, strict=True)])
    told = person.xy_px * [source.width / observed.size[0], source.height / observed.size[1]]
    sure = person.confidence > SURE
    off = np.where(sure, np.linalg.norm(pixels[..., :2] - told, axis=-1), 0.0)
    joints = {name: motion.joint(name) for name in POINTS}
    lengths = np.array([np.median(np.linalg.norm(joints[a] - joints[b], axis=1)) for a, b in BONES])
    forward, right = T[0, :3, 2], T[0, :3, 0]
    tilt = np.degrees([np.arcsin(np.clip(-forward[2], -1, 1)), np.arcsin(np.clip(-right[2], -1, 1))])
    error = off.sum(axis=1) / np.maximum(sure.sum(axis=1), 1)
    return BodyTrack(motion.joint_pos_world, T, K, motion.confidence, error, lengths, tilt)


def _camera(T: np.ndarray, observed: Observations, source: FrameSource) -> CameraMotion:
    turned = T[:, :3, :3].transpose(0, 2, 1) @ T[0, :3, :3]
    frames = len(T)
    many = np.full(frames, np.iinfo(np.int32).max)  # features were not counted: the camera comes from the front-end
    return CameraMotion(_matrix(observed, source), turned, np.zeros(frames), many, "the front-end's cameras")


def _static_points(observed: Observations, scale: float, T: np.ndarray) -> np.ndarray:
    """(N, 3) [m, world] that the frames agree on."""
    pixels = clouds.static_pixels(observed, scale, max(1, observed.num_frames // CLOUD_FRAMES), PIXEL_STEP)
    if len(pixels.depth):
        pixels = clouds.agreed(pixels, observed, scale, T, rounds=1)
    return pixels.points(observed.depth_matrix, T)


def _save_points(path: Path, points: np.ndarray) -> None:
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, points=points.astype(np.float32))


def tell_unseen_ground(motion: HumanMotion, points: np.ndarray, who: str) -> None:
    """Warns when depth shows nothing under most of the places where somebody stands; points (N, 3) [m, world]."""
    soles = [
        motion.joint(f"{side}_{part}")[motion.contact[:, motion.contact_names.index(f"{side}_foot")] > 0.5]
        for side in ("left", "right") for part in ("heel", "toe")
    ]  # fmt: skip
    places = np.concatenate(soles)
    if not len(places):
        return
    seen = cKDTree(points).query(places)[0] < GROUND_NEAR_M if len(points) else np.zeros(len(places), bool)
    if np.mean(seen) < GROUND_SEEN_SHARE:
        warn(f"the ground under {who} is not in view; its height comes from the feet alone")
