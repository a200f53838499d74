"""The same interface as `BatchPhysics` over mujoco_warp: all robots on one GPU."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np

from vm_core.errors import VmError

_MOST_CONTACTS, _MOST_CONSTRAINTS = 48, 192
VARIED_FIELDS = (
    *("geom_friction", "geom_pos", "geom_size", "body_mass", "body_inertia", "body_ipos"),
    *("actuator_gainprm", "actuator_biasprm"),
)
"""Fields of the model that may differ from robot to robot."""


def find_device(device: str = "") -> str:
    """The device to simulate on, by default the first GPU.

    Raises:
        VmError: mujoco_warp is not installed, or there is no such device.
    """
    try:
        import mujoco_warp  # noqa: F401
        import warp
    except ImportError as error:
        raise VmError(f"simulation on a GPU needs mujoco-warp and warp-lang: {error.name} is not installed") from None
    warp.config.quiet = True
    warp.init()
    if not device:
        device = "cuda:0"
    there = [str(found) for found in warp.get_devices()]
    if device not in there:
        raise VmError(f"no device {device!r} to simulate on; there is {', '.join(there)}")
    return device


class WarpPhysics:
    """N independent simulations on one device, advanced together by one control period.

    Attributes:
        num_envs: N.  substeps: physics steps in a control period.
        qpos: (N, nq).  qvel: (N, nv).  sensordata: (N, n).  As `BatchPhysics` has them, copied from the device.
        data: mujoco_warp's, on the device; for those who stay there.
    """

    def __init__(self, models: Sequence[mujoco.MjModel], *, control_period_s: float = 0.02, device: str = "") -> None:
        """Takes one model a robot; they may differ in VARIED_FIELDS.

        Raises:
            VmError: no model, no such device, or a control period that is not a multiple of the physics step.
        """
        if not models:
            raise VmError("batched physics needs at least one model")
        self.device = find_device(device)
        import mujoco_warp
        import warp

        self._warp, self._simulator = warp, mujoco_warp
        first, step = copy.copy(models[0]), models[0].opt.timestep
        # BatchPhysics sets it, and mujoco_warp does not know it: it never resets by itself
        first.opt.disableflags &= ~int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)
        self.substeps = round(control_period_s / step)
        if self.substeps < 1 or abs(self.substeps * step - control_period_s) > 1e-9:
            raise VmError(f"control period {control_period_s} s is not a multiple of the step {step} s")
        self.num_envs = len(models)
        self._models, self._graph = list(models), None
        with warp.ScopedDevice(self.device):
            sizes = dict.fromkeys(VARIED_FIELDS, self.num_envs)
            self.model = mujoco_warp.put_model(first, batch_sizes=sizes)
            self.data = mujoco_warp.make_data(
                first, nworld=self.num_envs, nconmax=_MOST_CONTACTS, njmax=_MOST_CONSTRAINTS
            )
        self.update_models()
        self._read()

    def update_models(self) -> None:
        """Takes over what has changed in the models' VARIED_FIELDS."""
        for name in VARIED_FIELDS:
            array: Any = getattr(self.model, name)
            array.assign(np.stack([getattr(model, name) for model in self._models]).astype(np.float32))

    def reset(self, envs: np.ndarray, qpos: np.ndarray, qvel: np.ndarray) -> None:
        """Puts robots (E,) at qpos (E, nq) and qvel (E, nv)."""
        self.qpos[envs], self.qvel[envs] = qpos, qvel
        chosen = np.zeros(self.num_envs, dtype=bool)
        chosen[envs] = True
        with self._warp.ScopedDevice(self.device):
            mask = self._warp.array(chosen, dtype=bool)
            self._simulator.reset_data(self.model, self.data, reset=mask)
        self._write()

    def step(self, target: np.ndarray, previous: np.ndarray, delay_substeps: np.ndarray) -> None:
        """One control period of PD targets (N, nu) [rad]; the previous ones hold for the first substeps (N,)."""
        self._write()
        for k in range(self.substeps):
            if k == 0 or bool(np.any(delay_substeps > k - 1)):
                late = (k < delay_substeps)[:, None]
                self.data.ctrl.assign(np.where(late, previous, target).astype(np.float32))
            self._advance()
        self._read()

    def _advance(self) -> None:
        """One physics step; on a GPU as a recorded graph, which spares the launches."""
        warp = self._warp
        with warp.ScopedDevice(self.device):
            if not warp.get_device().is_cuda:
                self._simulator.step(self.model, self.data)
                return
            if self._graph is None:
                self._simulator.step(self.model, self.data)  # kernels are compiled outside the recording
                with warp.ScopedCapture() as capture:
                    self._simulator.step(self.model, self.data)
                self._graph = capture.graph
                return
            warp.capture_launch(self._graph)

    def _write(self) -> None:
        """Host to device: a push or a reset changes the host's copy."""
        self.data.qpos.assign(self.qpos.astype(np.float32))
        self.data.qvel.assign(self.qvel.astype(np.float32))

    def _read(self) -> None:
        self.qpos = self.data.qpos.numpy().astype(np.float64)
        self.qvel = self.data.qvel.numpy().astype(np.float64)
        self.sensordata = self.data.sensordata.numpy().astype(np.float64)

    def close(self) -> None:
        """Nothing to end; for the interface's sake."""
