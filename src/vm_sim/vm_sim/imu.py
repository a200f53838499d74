"""The G1's two inertial sensors: the one in the pelvis (LowState) and the one inside the LiDAR."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from vm_core import g1
from vm_core.frames import quat_rotate

STANDARD_GRAVITY = 9.80665
PELVIS_IMU, LIDAR_IMU = "pelvis_imu", "lidar_imu"
# Position of the Mid-360's IMU in the LiDAR's frame [m]; Livox gives the LiDAR in the IMU's frame with the other sign.
_IMU_POS_IN_LIDAR = np.array([0.011, 0.02329, -0.04412])


@dataclass(frozen=True)
class ImuSample:
    """One reading in the sensor's own frame.

    Attributes:
        quat_wxyz: (4,) the sensor's orientation in the world.
        gyroscope: (3,) [rad/s].
        accelerometer: (3,) specific force [m/s²]: at rest 1 g upwards.
    """

    quat_wxyz: np.ndarray
    gyroscope: np.ndarray
    accelerometer: np.ndarray


def add_imus(spec: mujoco.MjSpec) -> None:
    """Adds both sensors to the specification: a site each with gyroscope, accelerometer and orientation."""
    turn = g1.LIDAR_QUAT_IN_TORSO_WXYZ
    in_torso = g1.LIDAR_POS_IN_TORSO + quat_rotate(turn, _IMU_POS_IN_LIDAR)
    spec.body(g1.PELVIS_BODY).add_site(name=PELVIS_IMU, pos=g1.IMU_POS_IN_PELVIS)
    spec.body(g1.TORSO_BODY).add_site(name=LIDAR_IMU, pos=in_torso, quat=turn)
    kinds = {
        "gyroscope": mujoco.mjtSensor.mjSENS_GYRO,
        "accelerometer": mujoco.mjtSensor.mjSENS_ACCELEROMETER,
        "orientation": mujoco.mjtSensor.mjSENS_FRAMEQUAT,
    }
    for site in (PELVIS_IMU, LIDAR_IMU):
        for name, kind in kinds.items():
            spec.add_sensor(name=f"{site}_{name}", type=kind, objtype=mujoco.mjtObj.mjOBJ_SITE, objname=site)


class Imu:
    """Reads one of the sensors with white noise."""

    def __init__(
        self,
        model: mujoco.MjModel,
        name: str,
        rng: np.random.Generator,
        *,
        gyroscope_std: float = 0.003,
        accelerometer_std: float = 0.03,
    ) -> None:
        """Finds the sensor `name` (PELVIS_IMU or LIDAR_IMU); standard deviations in rad/s and m/s²."""
        parts = ("orientation", "gyroscope", "accelerometer")
        sensors = [model.sensor(f"{name}_{part}") for part in parts]
        self._slices = [slice(int(s.adr[0]), int(s.adr[0] + s.dim[0])) for s in sensors]
        self._rng = rng
        self._std = (gyroscope_std, accelerometer_std)

    def read(self, data: mujoco.MjData) -> ImuSample:
        """The reading at the last step or `mj_forward`."""
        quat, gyroscope, accelerometer = (data.sensordata[part].copy() for part in self._slices)
        gyroscope += self._rng.normal(0.0, self._std[0], 3)
        accelerometer += self._rng.normal(0.0, self._std[1], 3)
        return ImuSample(quat, gyroscope, accelerometer)
