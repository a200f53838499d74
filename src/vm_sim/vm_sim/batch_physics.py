"""Many robots at once on the CPU: `mujoco.rollout` behind the smallest interface that training needs."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np
from mujoco.rollout import Rollout

from vm_core.errors import VmError

_STATE = int(mujoco.mjtState.mjSTATE_FULLPHYSICS)


class BatchPhysics:
    """N independent simulations, advanced together by one control period.

    Attributes:
        num_envs: N.
        substeps: physics steps in a control period.
        qpos: (N, nq).  qvel: (N, nv).  Views of the current state; NaN for a robot that diverged, until its reset.
        sensordata: (N, n) of the last physics step's start; stays as it was for robots that do not move.
    """

    def __init__(self, models: Sequence[mujoco.MjModel], *, control_period_s: float = 0.02, threads: int = 2) -> None:
        """Takes one model an environment; they may differ in parameters, not in structure.

        Raises:
            VmError: no model, or a control period that is not a multiple of the physics step.
        """
        if not models:
            raise VmError("batched physics needs at least one model")
        first = models[0]
        self.substeps = round(control_period_s / first.opt.timestep)
        if self.substeps < 1 or abs(self.substeps * first.opt.timestep - control_period_s) > 1e-9:
            raise VmError(f"control period {control_period_s} s is not a multiple of the step {first.opt.timestep} s")
        self.num_envs = len(models)
        self._models = list(models)
        for model in self._models:  # a robot that diverged must show; MuJoCo would put it at the origin, upright
            model.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)
        self._data = [mujoco.MjData(first) for _ in range(threads)]
        self._rollout = Rollout(nthread=threads)
        self._state = np.zeros((self.num_envs, mujoco.mj_stateSize(first, _STATE)))
        self._history = np.zeros((self.num_envs, self.substeps, self._state.shape[1]))
        self._sensors = np.zeros((self.num_envs, self.substeps, first.nsensordata)) if first.nsensordata else None
        self.sensordata = np.zeros((self.num_envs, first.nsensordata))
        self._moved = np.zeros(0, dtype=int)
        self._nq, self._nv, self._nu = first.nq, first.nv, first.nu

    @property
    def qpos(self) -> np.ndarray:
        return self._state[:, 1 : 1 + self._nq]

    @property
    def qvel(self) -> np.ndarray:
        return self._state[:, 1 + self._nq : 1 + self._nq + self._nv]

    def reset(self, envs: np.ndarray, qpos: np.ndarray, qvel: np.ndarray) -> None:
        """Puts environments (E,) at qpos (E, nq) and qvel (E, nv)."""
        self._state[envs] = 0.0
        self._state[envs, 1 : 1 + self._nq] = qpos
        self._state[envs, 1 + self._nq : 1 + self._nq + self._nv] = qvel

    def step(
        self,
        target: np.ndarray,
        previous: np.ndarray,
        delay_substeps: np.ndarray,
        envs: np.ndarray | None = None,
        wrench_world: np.ndarray | None = None,
    ) -> None:
        """One control period of PD targets (N, nu) [rad].

        Args:
            target: what the controller asks for now.
            previous: what it asked for before, still in force for the first `delay_substeps` (N,) physics steps.
            delay_substeps: from computing to acting.
            envs: (E,) indices of those that move; the others stand still in time. None: all.
            wrench_world: (N, nbody, 6) force [N] and torque [Nm] at each body's centre of mass, all period long.
        """
        broken = self._broken()
        moving = ~broken  # a broken one is not simulated: every step of it would be a warning
        if envs is not None:
            moving &= np.isin(np.arange(self.num_envs), envs)
        at = np.flatnonzero(moving)
        if len(at):
            wrench = None if wrench_world is None else wrench_world[at]
            self._advance(at, target[at], previous[at], delay_substeps[at], wrench)
        self._state[broken | self._broken()] = np.nan

    def _advance(
        self,
        at: np.ndarray,
        target: np.ndarray,
        previous: np.ndarray,
        delay_substeps: np.ndarray,
        wrench: np.ndarray | None,
    ) -> None:
        late = np.arange(self.substeps)[None, :, None] < delay_substeps[:, None, None]
        control = np.where(late, previous[:, None], target[:, None])
        spec = int(mujoco.mjtState.mjSTATE_CTRL)
        if wrench is not None:
            spec |= int(mujoco.mjtState.mjSTATE_XFRC_APPLIED)
            held = np.broadcast_to(wrench.reshape(len(at), 1, -1), (len(at), self.substeps, wrench[0].size))
            control = np.concatenate([control, held], axis=2)
        models = [self._models[i] for i in at] if len(at) < self.num_envs else self._models
        history = self._history[: len(at)]
        sensors = None if self._sensors is None else self._sensors[: len(at)]
        # all shapes are known to fit: MuJoCo's own checks of every model would cost a tenth of a period
        self._rollout.rollout(
            models,
            self._data,
            self._state[at],
            np.ascontiguousarray(control, dtype=np.float64),
            control_spec=spec,
            skip_checks=True,
            nstep=self.substeps,
            state=history,
            sensordata=sensors,
        )
        self._state[at] = history[:, -1]
        self._moved = at
        if sensors is not None:
            self.sensordata[at] = sensors[:, -1]

    def substates(self, env: int) -> np.ndarray:
        """(substeps, nq + nv): a robot's states after each physics step of the last period; empty if it stood still."""
        row = np.flatnonzero(self._moved == env)
        return self._history[row[0], :, 1 : 1 + self._nq + self._nv] if len(row) else np.zeros((0, self._nq + self._nv))

    def _broken(self) -> np.ndarray:
        """(N,) bool: states beyond what MuJoCo itself calls stable."""
        return ~(np.abs(self._state) < mujoco.mjMAXVAL).all(axis=1)

    def close(self) -> None:
        """Ends the worker threads."""
        self._rollout.close()
