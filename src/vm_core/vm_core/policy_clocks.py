"""All clocks that a policy's contract asks for, run together once a control period, on the robot as in simulation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vm_core.gait_clock import QUICK_STOP, GaitClock
from vm_core.gait_pace import PacedGait
from vm_core.phase_clocks import CLOCKS, PhaseClock
from vm_core.policy_contract import PolicyContract


@dataclass
class Told:
    """What a policy is told in one control period.

    Attributes:
        command: (3,) root command, as far as no change of pace holds it back.
        inputs: fields of `ObservationInputs` by name.
    """

    command: np.ndarray
    inputs: dict[str, np.ndarray]


class PolicyClocks:
    """The clocks of one robot's policy.

    Attributes:
        paced: the gait clock of a walker of two paces, else None.
    """

    def __init__(self, contract: PolicyContract) -> None:
        """Args: contract: says which clocks there are."""
        self.paced = _paced(contract)
        self._clocks: dict[str, GaitClock | PhaseClock] = {}
        if contract.gait_step_s is not None and self.paced is None:
            self._clocks["gait_phase"] = GaitClock(contract.gait_step_s, contract.gait_fade_steps)
        if contract.phase_clock is not None and contract.phase_period_s is not None:
            clock = CLOCKS[contract.phase_clock](contract.phase_period_s)
            self._clocks[clock.feeds] = clock

    def reset(self) -> None:
        """As before the first step."""
        for clock in (*self._clocks.values(), *([self.paced] if self.paced else [])):
            clock.reset()

    def update(self, command: np.ndarray, heights: np.ndarray | None, period_s: float) -> Told:
        """This control period's; then time goes on.

        Args:
            command: (3,) vx, vy [m/s], yaw rate [rad/s].
            heights: (cells,) the height grid as the policy sees it, or None.
            period_s: control period.
        """
        if self.paced is None:
            return Told(command, {name: clock.update(command, period_s) for name, clock in self._clocks.items()})
        pace = self.paced.update(command, heights, period_s)
        others = {name: clock.update(pace.command, period_s) for name, clock in self._clocks.items()}
        return Told(pace.command, others | {"gait_phase": pace.phase, "gait_pace": np.array([pace.quick])})


def _paced(contract: PolicyContract) -> PacedGait | None:
    if contract.gait_quick_step_s is None or contract.gait_step_s is None or contract.height_grid is None:
        return None
    slow = GaitClock(contract.gait_step_s, contract.gait_fade_steps)
    quick = GaitClock(contract.gait_quick_step_s, contract.gait_fade_steps, QUICK_STOP)
    grid = contract.height_grid
    return PacedGait(slow, quick, (grid.size_x, grid.size_y), contract.height_grid_unknown)
