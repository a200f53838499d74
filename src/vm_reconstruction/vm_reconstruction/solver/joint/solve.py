"""From observations to people, cameras and scale: first guess, contacts from the first solution, all together again."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vm_reconstruction.body_model import segment_quats
from vm_reconstruction.geometry import clouds, gravity
from vm_reconstruction.human_motion import CONTACT_NAMES, HAND_NAMES, HumanMotion
from vm_reconstruction.observations import Observations, PersonObservation
from vm_reconstruction.solver.body_problem import POINTS
from vm_reconstruction.solver.joint import contacts, grounds, outside, posture, start, surfaces
from vm_reconstruction.solver.joint.arrow import NormalEquations, covariance
from vm_reconstruction.solver.joint.minimize import minimize
from vm_reconstruction.solver.joint.problem import SPREAD, JointProblem, PersonData, Sigmas
from vm_reconstruction.solver.joint.skeleton import HANDS, NECK_POINT, PELVIS, SEAT, SOLES, TOUCHING, Skeleton
from vm_reconstruction.solver.joint.state import SCALE, Camera, JointState, pose_columns
from vm_reconstruction.solver.joint.terms import N
from vm_reconstruction.stages.body import all_joints

ANKLES = [POINTS.index("left_ankle"), POINTS.index("right_ankle")]
SEAT_SHARE = 0.052  # of the height: hip centres above what a sitting person presses on
PALM_M = 0.03  # wrists above what the palms lie on
ITERATIONS = (3, 3, 4)  # the first rounds only show who rests where; two more in each change W-MPJPE by 0.3 %
CLOUD_FRAMES, CLOUD_PIXEL_STEP = 16, 2  # of the depth pictures that show the surfaces; more would cost memory


@dataclass(frozen=True)
class JointResult:
    """What came out.

    Attributes:
        people: motions in the world (z up, metres).
        T_world_camera: (T, 4, 4) corrected cameras.
        scale: metres per unit of the observations.
        state: everything that was solved for.
        cost, iterations: of the solver, all rounds together.
        scale_std: relative standard deviation of the scale; root_cov: one (T, 3, 3) a person [m^2]; None where the
            method has none.
        vertical_source: what told the vertical, in words.
    """

    people: tuple[HumanMotion, ...]
    T_world_camera: np.ndarray
    scale: float
    state: JointState
    cost: float
    iterations: int
    scale_std: float | None = None
    root_cov: tuple[np.ndarray, ...] = ()
    vertical_source: str = ""


def make_problem(observed: Observations, sigmas: Sigmas) -> tuple[JointProblem, JointState]:
    """The problem without contacts, and its first guess."""
    R = start.world_axes(observed.up_first_camera) @ observed.R_world_camera
    center = observed.camera_center @ start.world_axes(observed.up_first_camera).T
    people = tuple(start.unswapped(person, R, observed.fps) for person in observed.people)
    told = replace(observed, people=people)
    depths = [start.joint_depths(told, p) for p in range(len(people))]
    state = start.first_guess(told, people, R, center, depths)
    data = tuple(_person_data(told, p, state, R, center, depths[p], sigmas) for p in range(len(people)))
    return JointProblem(observed.fps, observed.matrix, R, center, data, sigmas), state


def _person_data(
    observed: Observations, p: int, state: JointState, R: np.ndarray, center: np.ndarray, depth: np.ndarray, s: Sigmas
) -> PersonData:
    person: PersonObservation = observed.people[p]
    distance = np.einsum("ti,ti->t", R[:, :, 2], state.people[p].root - state.scale * center)
    distance = np.maximum(distance, 0.5)[:, None]
    root, good = start.placed(person, observed.matrix)
    trust = np.sqrt(person.confidence)
    along = np.array([s.pose_across_m, s.pose_across_m, s.pose_along_m])
    frames = len(depth)
    above = np.zeros(len(TOUCHING))
    above[SEAT], above[HANDS] = SEAT_SHARE * person.height_m, PALM_M
    return PersonData(
        skeleton=Skeleton.of_height(person.height_m),
        xy_px=person.xy_px,
        xy_weight=person.confidence * distance / (s.point_m * SPREAD * observed.matrix[0, 0]),
        points_camera=person.points_camera,
        pose_weight=(person.found[:, None] * np.maximum(trust, 0.3))[..., None] / along,
        depth_units=depth,
        depth_weight=(depth > 0) * trust / np.maximum(s.depth * distance, s.depth_floor_m),
        distance_m=root[:, 2],
        distance_weight=good / (s.distance * distance[:, 0]),
        planted=np.zeros((frames - 1, len(TOUCHING))),
        normal=np.tile([0.0, 0.0, 1.0], (frames, len(TOUCHING), 1)),
        offset_units=np.zeros((frames, len(TOUCHING))),
        touch=np.zeros((frames, len(TOUCHING))),
        above_m=above,
        ahead=np.zeros((frames, 3)),
        walls=outside.Walls.none(frames),
    )


def solve(observed: Observations, sigmas: Sigmas | None = None, uncertain: bool = False) -> JointResult:
    """The most likely people, cameras and scale; `uncertain`: with the covariance of scale and roots.

    Raises:
        VmError: a person is seen in too few frames, or depth is known nowhere on a person.
    """
    problem, state = make_problem(observed, sigmas or Sigmas())
    iterations, cost, solution, told_by = 0, 0.0, None, ""
    still = [np.zeros((len(problem.center_units), len(TOUCHING)))] * len(problem.people)
    for round_, limit in enumerate(ITERATIONS):
        if round_:
            speed, held_speed, margin_s = contacts.ROUNDS[round_ - 1]
            last = round_ == len(ITERATIONS) - 1
            cloud = _cloud(problem, state, observed) if last else np.zeros((0, 3))
            if last:
                problem, state, cloud, told_by = levelled(problem, state, observed.up_first_camera, cloud)
            bodies, eye = _points(problem, state), _camera(problem, state).center
            over = _over(problem, bodies, cloud)
            still, held = (_resting(bodies, eye, problem.fps, (held_speed, v), over) for v in (speed, held_speed))
            if last:
                hands = _hands(problem, bodies, eye, cloud)
                still, held = (list(map(contacts.with_hands, flags, hands)) for flags in (still, held))
            problem = with_ways(with_contacts(problem, held, margin_s), state)
            problem, state = with_grounds(problem, state, held)
            if len(cloud):
                problem = with_surfaces(problem, state, still, cloud)
        wanted = uncertain and round_ == len(ITERATIONS) - 1
        solution = minimize(problem.rows, state, problem.sizes, limit, equations=wanted)
        state, cost, iterations = solution.state, solution.cost, iterations + solution.iterations
    found = replace(result(problem, state, still, cost, iterations, observed), vertical_source=told_by)
    if solution is None or solution.normal is None:
        return found
    return _with_covariance(found, problem, solution.normal)


def _with_covariance(found: JointResult, problem: JointProblem, normal: NormalEquations) -> JointResult:
    """Errors of networks last, so `error_memory_s` of frames count as one measurement."""
    roots = [pose_columns(p)[:3] for p in range(len(problem.people))]
    cov = covariance(normal, np.concatenate(roots))
    alike = max(1.0, problem.sigmas.error_memory_s * problem.fps)
    scale_std = float(np.sqrt(alike * cov.shared[SCALE, SCALE]))
    blocks = [alike * cov.by_frame[:, 3 * p : 3 * p + 3, 3 * p : 3 * p + 3] for p in range(len(roots))]
    return replace(found, scale_std=scale_std, root_cov=tuple(blocks))


def levelled(
    problem: JointProblem, state: JointState, up_first_camera: np.ndarray, cloud: np.ndarray
) -> tuple[JointProblem, JointState, np.ndarray, str]:
    """Problem, state and static points (N, 3) turned so that z is up as all frames together say; and what told it."""
    bodies = _points(problem, state)
    ankles = [points[:, ANKLES].mean(axis=1) for points in bodies]
    hips, necks = ([points[:, k] for points in bodies] for k in (PELVIS, NECK_POINT))
    opinions = gravity.upright_people(hips, necks, ankles, problem.fps)
    if len(cloud):
        opinions += gravity.floor(cloud, np.concatenate([points[:, SOLES].reshape(-1, 3) for points in bodies]))
    first = problem.R_world_camera[0] @ up_first_camera
    first = first / np.linalg.norm(first)
    Q = gravity.levelling(gravity.combined(opinions, first))
    return *turned(problem, state, Q), cloud @ Q.T, gravity.told_by(opinions, first)


def turned(problem: JointProblem, state: JointState, Q: np.ndarray) -> tuple[JointProblem, JointState]:
    """The same in a world turned by Q (3, 3); surfaces stay behind."""
    people = []
    for person in state.people:
        rotation = person.rotation.copy()
        rotation[:, 0] = Q @ rotation[:, 0]
        people.append(replace(person, root=person.root @ Q.T, rotation=rotation))
    cameras = {"R_world_camera": Q @ problem.R_world_camera, "center_units": problem.center_units @ Q.T}
    return replace(problem, **cameras), replace(state, people=tuple(people), camera_shift=state.camera_shift @ Q.T)


def _points(problem: JointProblem, state: JointState) -> list[np.ndarray]:
    """Each person's points (T, 19, 3) [m, world]."""
    return [s.points(data.skeleton) for data, s in zip(problem.people, state.people, strict=True)]


def _camera(problem: JointProblem, state: JointState) -> Camera:
    return Camera.of(problem.R_world_camera, problem.center_units, state)


def _over(problem: JointProblem, bodies: list[np.ndarray], cloud: np.ndarray) -> list[np.ndarray]:
    """How far each person's soles and seat are over what is seen under them (T, 5) [m], NaN where nothing is."""
    below = TOUCHING[: SEAT + 1]
    return [
        surfaces.heights_over(points[:, below], data.above_m[: SEAT + 1], cloud)
        for data, points in zip(problem.people, bodies, strict=True)
    ]


def _resting(
    bodies: list[np.ndarray], eye: np.ndarray, fps: float, speed: tuple[float, float], over: list[np.ndarray]
) -> list[np.ndarray]:
    return [contacts.still_points(p, eye, fps, speed, known) for p, known in zip(bodies, over, strict=True)]


def _hands(problem: JointProblem, bodies: list[np.ndarray], eye: np.ndarray, cloud: np.ndarray) -> list[np.ndarray]:
    return [
        contacts.resting_hands(points, eye, problem.fps, cloud, data.skeleton.height_m)
        for data, points in zip(problem.people, bodies, strict=True)
    ]


def with_contacts(problem: JointProblem, still: list[np.ndarray], margin_s: float) -> JointProblem:
    """The same problem where points that are still (T, 7) stay, but for a margin at both ends of each rest."""
    planted = [contacts.between_frames(flags, margin_s * problem.fps) for flags in still]
    people = tuple(replace(d, planted=p) for d, p in zip(problem.people, planted, strict=True))
    return replace(problem, people=people)


def with_grounds(problem: JointProblem, state: JointState, still: list[np.ndarray]) -> tuple[JointProblem, JointState]:
    """The same problem, and state, where rests share grounds."""
    shared = grounds.found(_points(problem, state), still)
    return replace(problem, grounds=shared), replace(state, grounds=shared.first)


def with_ways(problem: JointProblem, state: JointState) -> JointProblem:
    """The same problem where people face the way that they walk."""
    people = [
        replace(d, ahead=posture.ahead(s, problem.fps)) for d, s in zip(problem.people, state.people, strict=True)
    ]
    return replace(problem, people=tuple(people))


def with_surfaces(problem: JointProblem, state: JointState, still: list[np.ndarray], cloud: np.ndarray) -> JointProblem:
    """The same problem where resting points lie on the surfaces that the depth shows and joints keep out of them."""
    people, eye = [], _camera(problem, state).center
    for data, points, flags in zip(problem.people, _points(problem, state), still, strict=True):
        normal, offset, touch = surfaces.carriers(points[:, TOUCHING], flags, data.above_m, cloud, state.scale)
        walls = outside.beside(points[:, :N], eye, cloud, state.scale)
        people.append(replace(data, normal=normal, offset_units=offset, touch=touch, walls=walls))
    return replace(problem, people=tuple(people))


def _cloud(problem: JointProblem, state: JointState, observed: Observations) -> np.ndarray:
    """Static points (N, 3) [m, world] of a few frames that agree with each other."""
    poses = _poses(_camera(problem, state))
    pixels = clouds.static_pixels(observed, state.scale, max(1, observed.num_frames // CLOUD_FRAMES), CLOUD_PIXEL_STEP)
    if len(pixels.depth):
        pixels = clouds.agreed(pixels, observed, state.scale, poses, rounds=1)
    return pixels.points(observed.depth_matrix, poses)


def _poses(camera: Camera) -> np.ndarray:
    T = np.tile(np.eye(4), (len(camera.center), 1, 1))
    T[:, :3, :3], T[:, :3, 3] = camera.rotation, camera.center
    return T


def result(
    problem: JointProblem, state: JointState, still: list[np.ndarray], cost: float, iterations: int,
    observed: Observations,
) -> JointResult:  # fmt: skip
    """States as motions and poses."""
    motions = []
    for p, points in enumerate(_points(problem, state)):
        joints = all_joints(points[:, :N])
        feet = np.stack([still[p][:, :2].max(axis=1), still[p][:, 2:4].max(axis=1)], axis=1)
        contact = np.concatenate([feet, still[p][:, SEAT:]], axis=1)
        person = observed.people[p]
        motions.append(
            HumanMotion(
                problem.fps,
                person.height_m,
                joints,
                segment_quats(joints),
                contact,
                person.confidence.mean(axis=1),
                contact_names=(*CONTACT_NAMES, *HAND_NAMES),
            )
        )
    return JointResult(tuple(motions), _poses(_camera(problem, state)), state.scale, state, cost, iterations)
