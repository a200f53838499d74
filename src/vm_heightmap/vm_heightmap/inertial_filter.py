"""Error-state Kalman filter of the LiDAR's inertial unit: attitude, position, velocity, both biases, gravity.

Errors are in the world frame, R_true = Exp(phi) R, in the order phi, position, velocity, gyroscope bias, accelerometer
bias, gravity. "Body" has the torso's axes and the inertial unit's origin. The attitude at the start defines the world,
so what the start does not know about level is the uncertainty of gravity, which walking then reveals.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numba
import numpy as np

from vm_heightmap.compiled_turns import exp_so3

GRAVITY = 9.80665
STATES = 18
TURN, POSITION, VELOCITY, GYRO_BIAS, ACCEL_BIAS, DOWN = (slice(3 * i, 3 * i + 3) for i in range(6))


@dataclass(frozen=True)
class InertialNoise:
    """Continuous noise densities, and standard deviations at the start.

    Attributes:
        gyroscope, accelerometer: densities [rad/s/√Hz], [m/s²/√Hz].
        gyroscope_bias, accelerometer_bias: random walks of the biases.
        start: standard deviations of the states, three equal ones each.
        leg_velocity: of the velocity that a standing foot tells [m/s].
    """

    gyroscope: float = 1e-3
    accelerometer: float = 0.02
    gyroscope_bias: float = 1e-4
    accelerometer_bias: float = 1e-3
    start: tuple[float, float, float, float, float, float] = (5e-4, 1e-4, 0.03, 0.003, 0.04, 0.08)
    leg_velocity: float = 0.08


@dataclass
class InertialFilter:
    """The state and its covariance; the caller feeds samples in the order of time.

    Attributes:
        turn: (3, 3) body axes in the world.  position, velocity: (3,) in the world.
        gyro_bias, accel_bias: (3,) in the body.
        gravity: (3,) in the world [m/s²].
    covariance: (18, 18).
    """

    noise: InertialNoise = field(default_factory=InertialNoise)

    def __post_init__(self) -> None:
        self.turn = np.eye(3)
        self.position, self.velocity = np.zeros(3), np.zeros(3)
        self.gyro_bias, self.accel_bias = np.zeros(3), np.zeros(3)
        self.gravity = np.array([0.0, 0.0, -GRAVITY])
        self.covariance = np.diag(np.repeat(np.square(self.noise.start), 3))

    @property
    def level_std_rad(self) -> float:
        """Of the direction of gravity."""
        return float(np.sqrt(np.diag(self.covariance)[DOWN].max())) / GRAVITY

    def predict(self, gyro: np.ndarray, accel: np.ndarray, dt_s: float, *, covariance: bool = True) -> None:
        """Integrates one sample (3,) [rad/s] and specific force (3,) [m/s²] over dt_s."""
        n = self.noise
        if covariance:
            force = self.turn @ (accel - self.accel_bias)
            densities = (n.gyroscope, n.accelerometer, n.gyroscope_bias, n.accelerometer_bias)
            self.covariance = _propagate(self.covariance, self.turn, force, dt_s, densities)
        rates = (gyro - self.gyro_bias, accel - self.accel_bias)
        _integrate(self.turn, self.position, self.velocity, *rates, self.gravity, dt_s)

    def update_velocity(self, velocity: np.ndarray, std: float) -> None:
        """Takes a velocity (3,) of the body's origin in the world [m/s]."""
        self._correct(_take_velocity(self.covariance, velocity - self.velocity, std))

    def update_pose(self, correction: np.ndarray, information: np.ndarray) -> None:
        """Takes the best pose correction (6,) (turn, position), prior included, and the measurement's information."""
        pose = self.covariance[:6, :6]
        gain = np.linalg.solve(pose, self.covariance[:6]).T
        after = np.linalg.inv(np.linalg.inv(pose) + information)
        self.covariance = self.covariance - gain @ (pose - after) @ gain.T
        self.covariance = 0.5 * (self.covariance + self.covariance.T)
        self._correct(gain @ correction)

    def copy(self) -> InertialFilter:
        """The same state, without its covariance, to be carried ahead."""
        other = object.__new__(InertialFilter)
        other.noise, other.covariance = self.noise, self.covariance
        other.turn, other.position, other.velocity = self.turn.copy(), self.position.copy(), self.velocity.copy()
        other.gyro_bias, other.accel_bias, other.gravity = self.gyro_bias, self.accel_bias, self.gravity
        return other

    def _correct(self, error: np.ndarray) -> None:
        self.turn = exp_so3(error[TURN]) @ self.turn
        self.position, self.velocity = self.position + error[POSITION], self.velocity + error[VELOCITY]
        self.gyro_bias, self.accel_bias = self.gyro_bias + error[GYRO_BIAS], self.accel_bias + error[ACCEL_BIAS]
        self.gravity = self.gravity + error[DOWN]
        self.gravity *= GRAVITY / np.linalg.norm(self.gravity)


@numba.njit(cache=True, nogil=True)
def _integrate(turn, position, velocity, gyro, accel, gravity, dt):
    force = turn @ (exp_so3(0.5 * dt * gyro) @ accel) + gravity
    position += velocity * dt + 0.5 * dt * dt * force
    velocity += dt * force
    turn[:] = turn @ exp_so3(dt * gyro)


@numba.njit(cache=True, nogil=True)
def _propagate(covariance, turn, force, dt, densities):
    moves = np.eye(18)
    moves[0:3, 9:12] = -dt * turn
    moves[3:6, 6:9] = dt * np.eye(3)
    # v' = -[f]x phi: the force that the turned accelerometer feels
    moves[6, 1], moves[6, 2] = dt * force[2], -dt * force[1]
    moves[7, 0], moves[7, 2] = -dt * force[2], dt * force[0]
    moves[8, 0], moves[8, 1] = dt * force[1], -dt * force[0]
    moves[6:9, 12:15] = -dt * turn
    moves[6:9, 15:18] = dt * np.eye(3)
    after = moves @ covariance @ moves.T
    for i in range(3):
        after[i, i] += densities[0] ** 2 * dt
        after[6 + i, 6 + i] += densities[1] ** 2 * dt
        after[9 + i, 9 + i] += densities[2] ** 2 * dt
        after[12 + i, 12 + i] += densities[3] ** 2 * dt
    return after


@numba.njit(cache=True, nogil=True)
def _take_velocity(covariance, innovation, std):
    """Narrows the covariance in place; the correction (18,)."""
    rows = covariance[6:9].copy()
    gain = np.linalg.solve(rows[:, 6:9].copy() + std * std * np.eye(3), rows).T.copy()
    covariance -= gain @ rows
    return gain @ innovation
