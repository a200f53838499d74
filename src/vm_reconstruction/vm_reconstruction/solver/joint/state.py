"""The unknowns: people, camera corrections, the bias of the depth, the scene's scale."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vm_reconstruction.solver.joint import so3
from vm_reconstruction.solver.joint.skeleton import POSE_SIZE, ROTATIONS, SHAPES, Skeleton

CAMERA_TURN, CAMERA_SHIFT, DEPTH_BIAS = slice(0, 3), slice(3, 6), 6
FRAME_SIZE = 7  # unknowns of a frame before the people's
PERSON_SIZE = POSE_SIZE + 3  # and of each person: the pose, then the turn of what the pose network told
SCALE = 0  # index among the shared unknowns


def pose_columns(person: int) -> np.ndarray:
    """(42,) unknowns of one person in a frame: root position, then 13 turns."""
    return FRAME_SIZE + PERSON_SIZE * person + np.arange(POSE_SIZE)


def told_turn_columns(person: int) -> np.ndarray:
    """(3,) unknowns of one person in a frame: by how much the pose network turned the whole body."""
    return FRAME_SIZE + PERSON_SIZE * person + POSE_SIZE + np.arange(3)


def shape_columns(person: int) -> np.ndarray:
    """(9,) shared unknowns of one person."""
    return 1 + len(SHAPES) * person + np.arange(len(SHAPES))


@dataclass(frozen=True)
class PersonState:
    """One person.

    Attributes:
        root: (T, 3) [m, world]; rotation: (T, 13, 3, 3) as in `skeleton.ROTATIONS`; shape: (9,) log length factors.
        told_turn: (T, 3) rotation vectors, camera axes: the pose network's points are turned by it against the truth.
    """

    root: np.ndarray
    rotation: np.ndarray
    shape: np.ndarray
    told_turn: np.ndarray

    def cut(self, at: slice) -> PersonState:
        """Of some frames."""
        return PersonState(self.root[at], self.rotation[at], self.shape, self.told_turn[at])

    def points(self, skeleton: Skeleton) -> np.ndarray:
        """The person's points (T, 19, 3) [m, world]."""
        return skeleton.forward(self.root, skeleton.world_rotations(self.rotation), self.shape)


@dataclass(frozen=True)
class JointState:
    """Everything that is solved for.

    Attributes:
        people: one each.
        camera_turn: (T, 3) rotation vectors; the camera is R_world_camera exp(turn).
        camera_shift: (T, 3) [m, world], added to scale * camera_center.
        depth_bias: (T,) log factor of the depth around the people.
        log_scale: of metres per unit of the observations.
        grounds: (K, 3) heights and slopes, see `grounds.Grounds`.
    """

    people: tuple[PersonState, ...]
    camera_turn: np.ndarray
    camera_shift: np.ndarray
    depth_bias: np.ndarray
    log_scale: float
    grounds: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))

    @property
    def scale(self) -> float:
        """Metres per unit of the observations."""
        return float(np.exp(self.log_scale))

    def cut(self, at: slice) -> JointState:
        """Of some frames."""
        people = tuple(person.cut(at) for person in self.people)
        shift, bias = self.camera_shift[at], self.depth_bias[at]
        return JointState(people, self.camera_turn[at], shift, bias, self.log_scale, self.grounds)

    def moved(self, by_frame: np.ndarray, shared: np.ndarray) -> JointState:
        """The state after a step; turns are multiplied from the right, the rest is added."""
        people = []
        for p, person in enumerate(self.people):
            pose = by_frame[:, pose_columns(p)]
            turns = so3.exp(pose[:, 3:].reshape(len(pose), len(ROTATIONS), 3))
            shape = person.shape + shared[shape_columns(p)]
            told = person.told_turn + by_frame[:, told_turn_columns(p)]
            people.append(PersonState(person.root + pose[:, :3], person.rotation @ turns, shape, told))
        return JointState(
            tuple(people),
            self.camera_turn + by_frame[:, CAMERA_TURN],  # small turns: chart of their vectors, see `Camera`
            self.camera_shift + by_frame[:, CAMERA_SHIFT],
            self.depth_bias + by_frame[:, DEPTH_BIAS],
            self.log_scale + float(shared[SCALE]),
            self.grounds + shared[len(shared) - self.grounds.size :].reshape(self.grounds.shape),
        )


@dataclass(frozen=True)
class PersonPoints:
    """A person's points (T, 19, 3) [m, world] with their derivatives by pose (…, 42) and shape (…, 9)."""

    points: np.ndarray
    by_pose: np.ndarray
    by_shape: np.ndarray

    @staticmethod
    def of(skeleton: Skeleton, person: PersonState) -> PersonPoints:
        """Forward kinematics."""
        world = skeleton.world_rotations(person.rotation)
        points = skeleton.forward(person.root, world, person.shape)
        return PersonPoints(points, *skeleton.derivatives(points, world, person.shape))


@dataclass(frozen=True)
class Camera:
    """Corrected camera: rotation (T, 3, 3), center (T, 3) [m, world], and the center's share that grows with scale.

    turn_jacobian (T, 3, 3): the body-axes turn that a change of `camera_turn` makes.
    """

    rotation: np.ndarray
    center: np.ndarray
    scaled_center: np.ndarray
    turn_jacobian: np.ndarray

    @staticmethod
    def of(R_world_camera: np.ndarray, center_units: np.ndarray, state: JointState) -> Camera:
        """From the observed camera, turned into the world."""
        scaled = state.scale * center_units
        rotation = R_world_camera @ so3.exp(state.camera_turn)
        right = so3.right_jacobian(state.camera_turn)
        return Camera(rotation, scaled + state.camera_shift, scaled, right)
