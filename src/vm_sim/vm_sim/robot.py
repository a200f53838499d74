"""The G1 as its software sees it: LowCmd records in, LowState records and sensor readings out. No ROS."""

from __future__ import annotations

import mujoco
import numpy as np

from vm_core import g1
from vm_core.frames import yaw_from_quat
from vm_core.remote import RemoteState, encode_remote
from vm_core.scene_asset import SceneAsset
from vm_core.unitree_cdr import get_motors, low_cmd_crc, low_state_crc, new_low_state, set_motors
from vm_sim.g1_model import load_g1_spec, stand_qpos
from vm_sim.gantry import Gantry, add_gantry
from vm_sim.imu import LIDAR_IMU, PELVIS_IMU, Imu, ImuSample, add_imus
from vm_sim.objects import ObjectSpec, add_object
from vm_sim.terrain import add_scene

STEP_S = 0.002
COMMAND_TIMEOUT_S = 0.5
MODE_MACHINE = 5  # the 29-motor G1
DAMPING_KD = 3.0  # Nm s/rad, all motors, when commands stop
GEAR_DAMPING = 2.0  # Nm s/rad, of gears and unpowered windings: limp limbs come to rest instead of swinging for ever
_ENABLED = 1
_LEG_MOTORS = 12
_KNEE = g1.motor_index("left_knee_joint")
_MOTOR_TEMPERATURE_C, _SUPPLY_V = 35, 50.0
_START_JOINT_STD_RAD, _START_YAW_STD_RAD, _START_XY_STD_M = 0.02, 0.02, 0.01


_MOTORS = slice(6, 6 + g1.NUM_MOTORS)


def build_model(scene: SceneAsset, *, meshes: bool = False, thing: ObjectSpec | None = None) -> mujoco.MjModel:
    """The G1 with its sensors in a scene, 2 ms physics; `meshes` adds visual shapes for pictures, `thing` an object."""
    spec = load_g1_spec(collision="full", meshes=meshes)
    add_scene(spec, scene)
    if thing is not None:
        add_object(spec, thing)
    add_imus(spec)
    add_gantry(spec)
    spec.option.timestep = STEP_S
    return spec.compile()


class SimulatedG1:
    """The robot in a scene, advanced in steps of 2 ms.

    Before the first command the motors are limp; half a second after the last one they damp, like the real robot's.

    Attributes:
        model, data: MuJoCo's; to be read, not written, from outside.
        remote: what the person with the remote control presses; goes out with the state.
        rejected_commands: commands refused since the start because of their CRC or numbers.
    """

    def __init__(
        self,
        scene: SceneAsset,
        *,
        start_qpos: np.ndarray | None = None,
        seed: int = 0,
        start_noise: float = 1.0,
        hang: bool = True,
        gantry_stays: bool = False,
        thing: ObjectSpec | None = None,
    ) -> None:
        """Builds the model and puts the robot at its start.

        Args:
            scene: what it stands on.
            start_qpos: (36,) pelvis position, wxyz, 29 joints in motor order; None: the stand at the scene's origin.
            seed: of start noise and sensor noise.
            start_noise: factor on the start's noise (at 1: 0.02 rad in joints and yaw, 1 cm in x and y).
            hang: hold the pelvis by a virtual gantry until the first stance.
            gantry_stays: and longer, until `release_gantry`.
            thing: an object before it, or None.
        """
        self.model = build_model(scene, thing=thing)
        self.data = mujoco.MjData(self.model)
        self.remote = RemoteState()
        self.rejected_commands = 0
        rng = np.random.default_rng(seed)
        start = scene_stand_qpos(self.model, scene) if start_qpos is None else np.asarray(start_qpos, dtype=np.float64)
        self.data.qpos[:] = self.model.qpos0
        self.data.qpos[: 7 + g1.NUM_MOTORS] = _perturbed(start[: 7 + g1.NUM_MOTORS], start_noise, rng)
        mujoco.mj_forward(self.model, self.data)
        self._rng = rng
        self._imus = {name: Imu(self.model, name, rng) for name in (PELVIS_IMU, LIDAR_IMU)}
        self._gantry = Gantry(self.model, self.data, stays=gantry_stays) if hang else None
        self._command_time_s: float | None = None
        self._modes = np.zeros(g1.NUM_MOTORS, dtype=np.uint8)
        self._powered = np.ones(g1.NUM_MOTORS, dtype=bool)
        self._torso = self.model.body(g1.TORSO_BODY).id
        self._state = new_low_state()
        self._state["mode_machine"] = MODE_MACHINE
        set_motors(self._state, "temperature", np.full((g1.NUM_MOTORS, 2), _MOTOR_TEMPERATURE_C, dtype=np.int16))
        set_motors(self._state, "vol", np.full(g1.NUM_MOTORS, _SUPPLY_V, dtype=np.float32))
        self._write_motors(np.zeros((5, g1.NUM_MOTORS)))

    @property
    def time_s(self) -> float:
        """Simulated time since the start."""
        return float(self.data.time)

    @property
    def object_pose(self) -> np.ndarray | None:
        """(7,) position [m] and quaternion of the object in the world, or None without one."""
        return self.data.qpos[7 + g1.NUM_MOTORS :] if self.model.nq > 7 + g1.NUM_MOTORS else None

    @property
    def gantry_share(self) -> float:
        """How much of the gantry's hold is left, 1 to 0."""
        return 0.0 if self._gantry is None else self._gantry.share

    @property
    def state_of_command(self) -> str:
        """`limp` before the first command, `commanded`, or `damping` when commands have stopped."""
        if self._command_time_s is None:
            return "limp"
        return "damping" if self.time_s - self._command_time_s > COMMAND_TIMEOUT_S else "commanded"

    def command(self, record: np.ndarray) -> bool:
        """Takes a LowCmd record, shape (); False, without effect, if its CRC is wrong or a number not finite."""
        fields = np.stack([get_motors(record, name)[: g1.NUM_MOTORS] for name in ("q", "dq", "tau", "kp", "kd")])
        if int(record["crc"]) != low_cmd_crc(record) or not np.all(np.isfinite(fields)):
            self.rejected_commands += 1
            return False
        self._modes = get_motors(record, "mode")[: g1.NUM_MOTORS]
        self._write_motors(np.where(self._modes == _ENABLED, fields.astype(np.float64), 0.0))
        self._command_time_s = self.time_s
        return True

    def repeat_command(self) -> bool:
        """The last command once more, so that it does not time out; False if there is none to repeat."""
        if self.state_of_command != "commanded":
            return False
        self._command_time_s = self.time_s
        return True

    def step(self) -> None:
        """Advances by 2 ms."""
        if self.state_of_command == "damping":
            damping = np.zeros((5, g1.NUM_MOTORS))
            damping[4] = DAMPING_KD
            self._write_motors(damping)
        if self._gantry is not None:
            stiff = bool(np.all(self.model.actuator_gainprm[:_LEG_MOTORS, 0] > 1.0))
            speed = float(np.abs(self.data.qvel[6 : 6 + _LEG_MOTORS]).max())
            self._gantry.update(self.data, legs_stiff=stiff, leg_speed=speed, step_s=STEP_S)
            if self._gantry.share == 0.0:
                self._gantry = None
        mujoco.mj_step(self.model, self.data)

    def push(self, force: np.ndarray) -> None:
        """Pushes the torso with a force (3,) [N] in the world until the next call."""
        self.data.xfrc_applied[self._torso, :3] = force

    def cut_power(self, motors: str) -> None:
        """Takes the power of `all` motors, of the left `knee`, or of `none`; without it a motor is limp."""
        self._powered[:] = motors != "all"
        if motors == "knee":
            self._powered[_KNEE] = False
        if motors != "none":
            self.model.actuator_gainprm[~self._powered, 0] = 0.0
            self.model.actuator_biasprm[~self._powered, :3] = 0.0
            self.model.dof_damping[_MOTORS][~self._powered] = GEAR_DAMPING

    def release_gantry(self) -> bool:
        """Lets the gantry go now, over a second; False if it does not hold."""
        if self._gantry is None:
            return False
        self._gantry.release()
        return True

    def read_imu(self, name: str) -> ImuSample:
        """A reading of PELVIS_IMU or LIDAR_IMU."""
        return self._imus[name].read(self.data)

    def low_state(self) -> np.ndarray:
        """The LowState record, shape (), of now, with its CRC; the same buffer at each call."""
        state, data = self._state, self.data
        count = g1.NUM_MOTORS
        state["tick"] = int(round(1000.0 * data.time)) & 0xFFFFFFFF
        set_motors(state, "mode", self._modes * self._powered)
        set_motors(state, "q", data.qpos[7 : 7 + count] + self._rng.normal(0.0, 2e-4, count))
        set_motors(state, "dq", data.qvel[_MOTORS] + self._rng.normal(0.0, 0.02, count))
        set_motors(state, "ddq", data.qacc[_MOTORS])
        set_motors(state, "tau_est", data.actuator_force)
        imu = self.read_imu(PELVIS_IMU)
        state["imu"]["quaternion"] = imu.quat_wxyz
        state["imu"]["gyroscope"] = imu.gyroscope
        state["imu"]["accelerometer"] = imu.accelerometer
        state["imu"]["rpy"] = _roll_pitch_yaw(imu.quat_wxyz)
        state["wireless_remote"] = np.frombuffer(encode_remote(self.remote), dtype=np.uint8)
        state["crc"] = low_state_crc(state)
        return state

    def _write_motors(self, fields: np.ndarray) -> None:
        """Per motor torque = kp (q* - q) + kd (dq* - dq) + tau inside the limit; the damping part is implicit."""
        driven = (self._modes == _ENABLED) & self._powered
        self.model.dof_damping[_MOTORS] = np.where(driven, 0.0, GEAR_DAMPING)
        q, dq, tau, kp, kd = fields * self._powered
        self.data.ctrl[:] = q
        self.model.actuator_gainprm[:, 0] = kp
        self.model.actuator_biasprm[:, 0] = tau + kd * dq
        self.model.actuator_biasprm[:, 1] = -kp
        self.model.actuator_biasprm[:, 2] = -kd


def scene_stand_qpos(model: mujoco.MjModel, scene: SceneAsset) -> np.ndarray:
    """qpos (36,) of the stand at the scene's origin, on the highest surface under the feet."""
    qpos = stand_qpos(model)
    under = np.array([(x, y) for x in (-0.1, 0.0, 0.15) for y in (-0.2, 0.0, 0.2)])
    qpos[2] += float(scene.height_at(under).max())
    return qpos


def _perturbed(qpos: np.ndarray, scale: float, rng: np.random.Generator) -> np.ndarray:
    noisy = qpos.copy()
    noisy[:2] += scale * rng.normal(0.0, _START_XY_STD_M, 2)
    half = 0.5 * scale * rng.normal(0.0, _START_YAW_STD_RAD)
    mujoco.mju_mulQuat(noisy[3:7], np.array([np.cos(half), 0.0, 0.0, np.sin(half)]), qpos[3:7])
    joints = qpos[7:] + scale * rng.normal(0.0, _START_JOINT_STD_RAD, len(qpos) - 7)
    noisy[7:] = np.clip(joints, g1.JOINT_LOWER, g1.JOINT_UPPER)
    return noisy


def _roll_pitch_yaw(q: np.ndarray) -> tuple[float, float, float]:
    w, x, y, z = (float(v) for v in q)
    roll = np.arctan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
    return roll, np.arcsin(np.clip(2 * (w * y - z * x), -1.0, 1.0)), float(yaw_from_quat(q))
