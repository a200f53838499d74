"""A virtual gantry: holds the pelvis until the robot stands by itself or somebody lets it down."""

from __future__ import annotations

import mujoco
import numpy as np

from vm_core import g1

SETTLE_S, RELEASE_S = 1.0, 1.0
_HOOK, _WELD = "gantry_hook", "gantry"
_STILL_RAD_S = 2.0
_IMPEDANCE = 0.95  # share of MuJoCo's constraint force that a full hold has; its own default's upper end


def add_gantry(spec: mujoco.MjSpec) -> None:
    """Adds the gantry, idle: a hook that can be placed anywhere and a weld from it to the pelvis.

    A weld is solved implicitly together with the contacts; an explicit spring strong enough would be unstable on the
    light pelvis of a limp robot.
    """
    spec.worldbody.add_body(name=_HOOK, mocap=True)
    spec.add_equality(
        name=_WELD,
        type=mujoco.mjtEq.mjEQ_WELD,
        objtype=mujoco.mjtObj.mjOBJ_BODY,
        name1=_HOOK,
        name2=g1.PELVIS_BODY,
        active=False,
        data=[*[0.0] * 6, 1.0, *[0.0] * 3, 1.0, 0.0],  # no offset, no turn, torque weighs like force
    )


class Gantry:
    """Carries the pelvis where it is at the start.

    It lets go over one second once the legs have been stiff and calm for one second, as a person does who lowers the
    robot while it takes its stance. One that stays holds on until `release`.
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, *, stays: bool = False) -> None:
        """Takes hold of the pelvis where `data` has it; the model is from a specification with `add_gantry`."""
        self._model, self._stays = model, stays
        self._weld = model.equality(_WELD).id
        data.mocap_pos[0], data.mocap_quat[0] = data.qpos[:3], data.qpos[3:7]
        data.eq_active[self._weld] = 1
        self._steady_s = 0.0
        self._released_s = 0.0

    @property
    def share(self) -> float:
        """How much of the hold is left, 1 to 0."""
        return max(0.0, 1.0 - self._released_s / RELEASE_S)

    def release(self) -> None:
        """Begins to let go at the next update."""
        self._stays, self._steady_s = False, SETTLE_S

    def update(self, data: mujoco.MjData, *, legs_stiff: bool, leg_speed: float, step_s: float) -> None:
        """Holds or lets go for the next step.

        Args:
            data: the robot's state; the weld in it is switched off at the end.
            legs_stiff: the legs are commanded with a position gain.
            leg_speed: largest speed of a leg joint [rad/s].
            step_s: time since the last call [s].
        """
        if self._released_s > 0.0 or self._steady_s >= SETTLE_S:
            self._released_s += step_s
        elif not self._stays and legs_stiff and leg_speed < _STILL_RAD_S:
            self._steady_s += step_s
        else:
            self._steady_s = 0.0
        self._model.eq_solimp[self._weld, :2] = max(_IMPEDANCE * self.share, 1e-4)
        data.eq_active[self._weld] = np.uint8(self.share > 0.0)
