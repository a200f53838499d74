"""The joint problem: what is known of each person and of the camera, and how far it is trusted."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace

import numpy as np

from vm_reconstruction.observations import COCO_SIGMA
from vm_reconstruction.solver.body_problem import POINTS
from vm_reconstruction.solver.joint import apart, outside, posture, terms
from vm_reconstruction.solver.joint.grounds import SIZE, Grounds
from vm_reconstruction.solver.joint.grounds import rows as ground_rows
from vm_reconstruction.solver.joint.rows import REACH, Rows, windows
from vm_reconstruction.solver.joint.skeleton import ROTATIONS, SHAPES, SOLES, TOUCHING, Skeleton
from vm_reconstruction.solver.joint.state import FRAME_SIZE, PERSON_SIZE, Camera, JointState, PersonPoints

# How far a joint lies behind the skin that a camera sees, per height: medians over Anny's six phenotypes while walking
# (`vm-make-dataset --seed 1`), parts hidden by the body left out.
_INSIDE = {
    "hip": 0.050, "knee": 0.037, "ankle": 0.024, "heel": 0.014, "toe": 0.018, "shoulder": 0.033, "elbow": 0.019,
    "wrist": 0.013, "head": 0.042,
}  # fmt: skip
SPREAD = np.array([COCO_SIGMA[name.rpartition("_")[2]] for name in POINTS])
SPREAD = SPREAD / SPREAD.mean()  # of image points: some joints are told more exactly than others
INSIDE_SHARE = np.array([_INSIDE[name.rpartition("_")[2]] for name in POINTS])

SEEN_M = 0.03  # so far may joints go into the scene as it is seen, which errs by as much

# Middle about x (of the left side; mirrored on the right) and standard deviations about x, y, z [rad] of joints' turns
# while people walk, climb and sit: arms hang a little away from the trunk, legs and feet keep to their plane.
POSTURE = {
    "trunk": (0.0, 0.05, 0.2, 0.09), "head": (0.0, 0.1, 0.2, 0.3), "hip": (0.0, 0.05, 4.0, 0.1),
    "knee": (0.0, 0.07, 1e3, 0.07), "ankle": (0.0, 0.08, 0.3, 0.08), "shoulder": (0.15, 0.1, 0.4, 0.25),
    "elbow": (0.0, 0.08, 1e3, 0.08),
}  # fmt: skip

# How fast turns of joints change their speed while people walk, climb and sit, standard deviations [rad/s^2].
TURNING = {
    "pelvis": 8.0, "trunk": 8.0, "head": 8.0, "hip": 25.0, "knee": 60.0, "ankle": 60.0, "shoulder": 20.0, "elbow": 25.0,
}  # fmt: skip


@dataclass(frozen=True)
class Sigmas:
    """Standard deviations of the joint problem.

    Attributes:
        point_m: a 2D point, expressed at the person's distance [m].
        pose_across_m, pose_along_m: the pose network's points, across and along the line of sight [m].
        depth: of the depth at a joint, per metre of distance; depth_floor_m: the least [m].
        distance: of the root by the body's size in the picture, per metre of distance; single limbs are shortened by
            every error of their tilt, which makes people too near; the size of the whole is not. Its errors last for
            many frames, which together count as few.
        told_turn_deg, told_turn_acceleration_deg: how far one frame's pose is turned as a whole, and how suddenly that
            changes [deg/s^2]; a network's points err together more than each for itself.
        bias, bias_memory_s: depth's slow relative error around the people, and how long it lasts.
        root_velocity [m/s], root_acceleration [m/s^2]; turning: multiplies TURNING.
        contact_speed: of a planted heel or toe [m/s]; surface_m: of its height over the seen surface.
        ground_m: of a rest over the ground that it shares with others; ground_slope_deg: of grounds from level.
        outside_m: of joints in what is seen of the scene; its errors last, so a frame counts little.
        apart_m: of two people's trunks that come too near.
        facing, sideways: of walkers' facing from their way, of hips and shoulders from level [rad];
            over_feet: of hips beside the middle between the ankles [m].
        camera_turn_deg, camera_shift_m: drift per root second; tilt_deg: of the vertical that the first frame is given.
        shape, width: log lengths, of limbs and of hips and shoulders; ruler_m: stature.
        posture: multiplies POSTURE.
        cauchy: standard deviations beyond which a measurement counts as wrong.
        error_memory_s: how long errors of the networks last; used for the covariance only.
    """

    point_m: float = 0.022
    pose_across_m: float = 0.03
    pose_along_m: float = 0.06
    depth: float = 0.03
    depth_floor_m: float = 0.05
    distance: float = 0.1
    told_turn_deg: float = 10.0
    told_turn_acceleration_deg: float = 20.0
    bias: float = 0.012
    bias_memory_s: float = 1.5
    root_velocity: float = 1.5
    root_acceleration: float = 3.0
    turning: float = 1.0
    contact_speed: float = 0.025
    surface_m: float = 0.04
    ground_m: float = 0.01
    ground_slope_deg: float = 0.3
    outside_m: float = 0.1
    apart_m: float = 0.02
    facing: float = 0.1
    sideways: float = 0.1
    over_feet: float = 0.1
    camera_turn_deg: float = 0.3
    camera_shift_m: float = 0.012
    tilt_deg: float = 0.5
    shape: float = 0.05
    width: float = 0.12
    ruler_m: float = 0.01
    posture: float = 1.0
    cauchy: float = 2.5
    error_memory_s: float = 0.5


@dataclass(frozen=True)
class PersonData:
    """What is known of one person; weights are 0 where nothing is.

    Attributes:
        skeleton: of the told height.
        xy_px: (T, 17, 2); xy_weight: (T, 17) [1/px].
        points_camera: (T, 17, 3) root-relative [m]; pose_weight: (T, 17, 3) [1/m].
        depth_units: (T, 17); depth_weight: (T, 17) [1/m].
        distance_m: (T,) of the root along the optical axis, from the body's size; distance_weight: (T,) [1/m].
        planted: (T-1, 7) 0..1: what `skeleton.TOUCHING` names stays between t and t + 1.
        normal: (T, 7, 3), offset_units: (T, 7), touch: (T, 7) 0..1: the surfaces under them.
        above_m: (7,) how far they are over the surface that carries them.
        ahead: (T, 3) where walkers' ways go, as long as they are trusted.
        walls: the scene's surfaces beside the joints.
    """

    skeleton: Skeleton
    xy_px: np.ndarray
    xy_weight: np.ndarray
    points_camera: np.ndarray
    pose_weight: np.ndarray
    depth_units: np.ndarray
    depth_weight: np.ndarray
    distance_m: np.ndarray
    distance_weight: np.ndarray
    planted: np.ndarray
    normal: np.ndarray
    offset_units: np.ndarray
    touch: np.ndarray
    above_m: np.ndarray
    ahead: np.ndarray
    walls: outside.Walls

    def cut(self, at: slice) -> PersonData:
        """Of some frames."""
        names = {own.name for own in fields(self)} - {"skeleton", "planted", "above_m", "walls"}
        values = {name: getattr(self, name)[at] for name in names}
        return replace(self, planted=self.planted[at.start : at.stop - 1], walls=self.walls.cut(at), **values)


@dataclass(frozen=True)
class JointProblem:
    """T frames.

    Attributes:
        fps: frames a second; matrix: (3, 3) [px].
        R_world_camera: (T, 3, 3), center_units: (T, 3): the observed camera, world axes z up.
        people: one each.
        grounds: that several rests share; none in the first rounds.
    """

    fps: float
    matrix: np.ndarray
    R_world_camera: np.ndarray
    center_units: np.ndarray
    people: tuple[PersonData, ...]
    sigmas: Sigmas = field(default_factory=Sigmas)
    grounds: Grounds = field(default_factory=Grounds)

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Frames, unknowns a frame, shared unknowns."""
        people = len(self.people)
        shared = 1 + len(SHAPES) * people + SIZE * self.grounds.count
        return len(self.center_units), FRAME_SIZE + PERSON_SIZE * people, shared

    def cut(self, at: slice) -> JointProblem:
        """Of some frames."""
        return replace(
            self, R_world_camera=self.R_world_camera[at], center_units=self.center_units[at],
            people=tuple(person.cut(at) for person in self.people), grounds=self.grounds.cut(at),
        )  # fmt: skip

    def rows(self, state: JointState) -> Iterator[Rows]:
        """All residuals at a state, window after window, in each one kind after the other."""
        for start, end in windows(self.sizes[0]):
            at = slice(start, min(end + REACH, self.sizes[0]))
            for rows in self.cut(at)._rows(state.cut(at)):
                own = rows.own((start, end))
                if len(own.frames):
                    yield own

    def _rows(self, state: JointState) -> Iterator[Rows]:
        s, every = self.sigmas, self.sizes[2]
        shared = every - SIZE * self.grounds.count  # the grounds' unknowns come last and are only in their own rows
        camera = Camera.of(self.R_world_camera, self.center_units, state)
        second = np.sqrt(self.fps)
        yield from terms.camera_drift(
            self.R_world_camera[0], state.camera_turn, state.camera_shift, np.radians(s.camera_turn_deg) / second,
            s.camera_shift_m / second, np.radians(s.tilt_deg),
        )  # fmt: skip
        yield from terms.depth_bias(state.depth_bias, s.bias, s.bias_memory_s * self.fps)
        bodies = [
            PersonPoints.of(data.skeleton, person) for data, person in zip(self.people, state.people, strict=True)
        ]
        for p, body in enumerate(bodies):
            yield from self._person_rows(state, camera, body, p, shared)
        slope = np.radians(s.ground_slope_deg)
        yield from ground_rows(self.grounds, state.grounds, bodies, every, s.ground_m, slope, 4.0)
        for p, q in itertools.combinations(range(len(bodies)), 2):
            limit = apart.HALF_TRUNK_SHARE * (self.people[p].skeleton.height_m + self.people[q].skeleton.height_m)
            yield apart.trunks_apart(bodies[p], bodies[q], p, q, shared, limit, s.apart_m)

    def _person_rows(
        self, state: JointState, camera: Camera, body: PersonPoints, p: int, shared: int
    ) -> Iterator[Rows]:
        data, person, s = self.people[p], state.people[p], self.sigmas
        seen = terms.camera_points(camera, body, p, shared)
        inside = INSIDE_SHARE * data.skeleton.height_m
        yield terms.reprojection(seen, self.matrix, data.xy_px, data.xy_weight, s.cauchy)
        told = data.points_camera, data.pose_weight
        yield terms.pose_points(camera, body, p, shared, person.told_turn, *told, s.cauchy)
        yield from terms.told_turn(
            person.told_turn, p, self.fps, np.radians(s.told_turn_deg), np.radians(s.told_turn_acceleration_deg)
        )
        yield terms.depth(seen, state.depth_bias, state.scale, data.depth_units, inside, data.depth_weight, 1.5)
        yield terms.root_distance(camera, person, p, shared, data.distance_m, data.distance_weight, s.cauchy)
        yield terms.root_velocity(person, p, self.fps, s.root_velocity)
        yield terms.root_acceleration(person, p, self.fps, s.root_acceleration)
        yield terms.turn_acceleration(person, p, self.fps, _turn_sigmas(s))
        yield terms.pose_prior(person, p, *_posture(s), 2.5)
        yield terms.hinges(person, p, 0.05)
        yield posture.faces_ahead(person, p, data.ahead, s.facing, 2.0)
        yield posture.over_feet(body, person, p, shared, s.over_feet, 2.0)
        yield posture.upright_sideways(person, p, s.sideways, 2.0)
        yield terms.planted(body, p, shared, TOUCHING, data.planted * self.fps / s.contact_speed, 1.5)
        yield terms.on_surface(
            body,
            p,
            shared,
            TOUCHING,
            data.normal,
            data.offset_units,
            data.above_m,
            state.scale,
            data.touch / s.surface_m,
            2.0,
        )
        flesh = np.where(np.isin(np.arange(terms.N), SOLES), 0.0, inside) - SEEN_M
        yield from outside.rows(body, p, shared, data.walls, flesh, state.scale, s.outside_m, 2.0)
        yield terms.shape_prior(data.skeleton, person.shape, p, shared, _shape_sigmas(s), s.ruler_m)


def _shape_sigmas(s: Sigmas) -> np.ndarray:
    return np.array([s.width if name in ("hips", "shoulders") else s.shape for name in SHAPES])


def _turn_sigmas(s: Sigmas) -> np.ndarray:
    return s.turning * np.array([TURNING[name.rpartition("_")[2]] for name in ROTATIONS])


def _posture(s: Sigmas) -> tuple[np.ndarray, np.ndarray]:
    """Middle (13, 3) and weight (13, 3) of the joints' turns, about x, y and z."""
    middle, weight = np.zeros((2, len(ROTATIONS), 3))
    for k, name in enumerate(ROTATIONS):
        side, _, part = name.rpartition("_")
        if part in POSTURE:
            middle_x, *sigma = POSTURE[part]
            middle[k, 0] = middle_x if side == "left" else -middle_x
            weight[k] = 1.0 / (s.posture * np.array(sigma))
    return middle, weight
