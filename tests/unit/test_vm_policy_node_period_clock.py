"""The control loop's schedule on a clock of its own, and that a rehearsal has no consequences."""

import dataclasses

import controller_cases as cases
import numpy as np
import policy_files as files
import pytest

from vm_core import g1
from vm_policy_node import period_clock
from vm_policy_node.controller import Controller
from vm_policy_node.inputs import read_low_state
from vm_policy_node.onnx_policy import OnnxPolicy
from vm_policy_node.period_clock import FRESH_S, LEAD_S, POLL_S, PeriodClock
from vm_policy_node.policy_runner import PolicyInputs, PolicyRunner
from vm_policy_node.safety import SafetyLimits, State

PERIOD_S, STATE_S, LOOK_S = 0.02, 0.002, 20e-6


@dataclasses.dataclass
class Clock:
    """Stands for the module `time`."""

    now_s: float = 100.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def clock(monkeypatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(period_clock, "time", found)
    return found


def one_period(periods: PeriodClock, clock: Clock, newest_s, rehearsal_s: float = 0.001) -> float:
    """When the step begins."""
    periods.sleep_until_preparation()
    periods.rehearse(lambda now_s: clock.sleep(rehearsal_s))
    periods.await_state(newest_s)
    began_s = clock.now_s
    periods.advance(began_s)
    clock.sleep(0.001)
    return began_s


def states(clock: Clock, offset_s: float = 0.0013):
    """The newest of states that come every two milliseconds; a look takes a moment."""

    def newest_s() -> float:
        clock.sleep(LOOK_S)
        return offset_s + STATE_S * np.floor((clock.now_s - offset_s) / STATE_S)

    return newest_s


def test_periods_begin_with_a_state_and_stay_there(clock):
    periods = PeriodClock(PERIOD_S)
    newest_s = states(clock)
    began = np.array([one_period(periods, clock, newest_s) for _ in range(300)])
    ages = [(moment - 0.0013 + LOOK_S) % STATE_S for moment in began[100:]]  # at most a look before or after
    assert max(ages) < 3 * LOOK_S
    assert np.abs(np.diff(began[100:]) - PERIOD_S).max() < 2 * LOOK_S


def test_a_state_that_comes_a_little_early_begins_the_period(clock):
    periods = PeriodClock(PERIOD_S)
    came_s = periods.due_s - LEAD_S
    periods.due_s += PERIOD_S  # none of this is lost

    def newest_s() -> float:
        clock.sleep(LOOK_S)
        return came_s + PERIOD_S if clock.now_s >= came_s + PERIOD_S else came_s

    periods.await_state(newest_s)
    assert clock.now_s == pytest.approx(came_s + PERIOD_S, abs=2 * LOOK_S)
    assert periods.due_s == pytest.approx(came_s + PERIOD_S + LEAD_S)


def test_a_period_waits_a_little_for_a_state_and_never_longer(clock):
    periods = PeriodClock(PERIOD_S)

    def newest_s() -> float:
        clock.sleep(LOOK_S)
        return 0.0

    one_period(periods, clock, newest_s)  # begins at once, before a rehearsal can end
    for _ in range(50):
        due_s = periods.due_s
        began_s = one_period(periods, clock, newest_s)
        assert FRESH_S <= began_s - due_s < FRESH_S + 2 * POLL_S
        assert periods.due_s == pytest.approx(due_s + PERIOD_S)


def test_a_lost_period_moves_the_schedule_and_a_late_one_does_not(clock):
    periods = PeriodClock(PERIOD_S)
    due_s = periods.due_s
    periods.advance(due_s + 0.015)
    assert periods.due_s == pytest.approx(due_s + PERIOD_S)
    periods.advance(due_s + 0.1)
    assert periods.due_s == pytest.approx(due_s + 0.1 + PERIOD_S)


def test_rehearsals_learn_to_end_before_the_period(clock):
    periods = PeriodClock(PERIOD_S)
    began = [one_period(periods, clock, states(clock), rehearsal_s=0.002) for _ in range(100)]
    assert np.abs(np.diff(began[60:]) - PERIOD_S).max() < 2 * LOOK_S


def test_who_is_late_does_not_rehearse(clock):
    periods, rehearsed = PeriodClock(PERIOD_S), []
    clock.sleep(0.005)
    periods.rehearse(rehearsed.append)
    assert not rehearsed


def test_a_rehearsal_has_no_consequences(tmp_path):
    moved = tuple(g1.DEFAULT_STAND_POSE[cases.MOVED])
    path = files.write(tmp_path / "policy.onnx", files.contract(default_joint_pos=moved))
    quick = SafetyLimits(start_still_s=0.0)
    plain, rehearsing = (Controller(OnnxPolicy.load(path), limits=quick) for _ in range(2))
    for k in range(300):
        data, now_s = cases.low_state(), 0.02 * k
        records = []
        for controller in (plain, rehearsing):
            controller.on_low_state(data, now_s)
            if controller is rehearsing:
                for _ in range(3):
                    controller.rehearse(now_s - 0.001)
            record = controller.step(now_s)
            records.append(None if record is None else record.tobytes())
            controller.request({5: "stand", 120: "run"}.get(k, "run"), now_s)
        assert records[0] == records[1], k
    assert plain.machine.state == rehearsing.machine.state == State.RUNNING
    assert plain.runner.run_step == rehearsing.runner.run_step > 100
    assert vars(plain.monitor)["trip"] is None


def test_a_rehearsal_goes_through_the_network(tmp_path, monkeypatch):
    runner = PolicyRunner(OnnxPolicy.load(files.write(tmp_path / "policy.onnx", files.contract())))
    seen: list[np.ndarray] = []
    act = runner.policy.act
    monkeypatch.setattr(runner.policy, "act", lambda observation: seen.append(observation.copy()) or act(observation))
    runner.rehearse()
    assert not seen  # before the first step there is nothing to rehearse
    state = read_low_state(cases.low_state())
    runner.step(PolicyInputs(state, state.quat_wxyz, np.zeros(3), None, None))
    runner.rehearse()
    assert len(seen) == 2
    assert np.array_equal(seen[0], seen[1])
