"""The gait clock of many robots and the table of steps that scripts look up."""

import numpy as np
import pytest

from vm_core.errors import VmError
from vm_core.gait_clock import GaitClock
from vm_core.keypoint_command import keypoints_of_joints
from vm_training.motions.courses import QUICK_STEP_S
from vm_training.visual.gait_table import (
    QUICK_STOP,
    STAND_S,
    STEPS,
    BatchGaitClock,
    command_of,
    gait_table,
    plan_time,
)
from vm_training.visual.motions import SLOW_STEP_S

STEP_S = SLOW_STEP_S


@pytest.mark.parametrize("step_s", [SLOW_STEP_S, QUICK_STEP_S])
def test_clock_of_many_is_the_clock_of_one(step_s: float):
    rng, many = np.random.default_rng(0), BatchGaitClock(4, step_s=step_s)
    one = [GaitClock(step_s, steps_to_rest=QUICK_STOP) for _ in range(4)]
    run = np.zeros(4, dtype=bool)
    for _ in range(1500):
        run ^= rng.random(4) < 0.01
        before = [(c.since_s, c.walk_s) for c in one]
        since, walk = many.update(run, 0.02)
        for k, clock in enumerate(one):
            clock.update(np.array([float(run[k]), 0.0, 0.0]), 0.02)
            after = clock.since_s
            if after is not None and before[k][0] is not None:
                assert since[k] == pytest.approx(after - 0.02, abs=1e-9) and walk[k] == clock.walk_s


def test_walks_of_any_length_end_with_the_half_and_the_closing_step():
    for steps in (4, 5, 9):
        walk = steps * STEP_S
        since = np.array([-0.4, 0.1, walk - 1.5 * STEP_S, walk - 0.5 * STEP_S, walk + 0.1])
        time_s, mirrored = plan_time(since, np.full(5, walk))
        within = np.array([0.6, 1.1, (STEPS - 0.5) * STEP_S + STAND_S, (STEPS + 0.5) * STEP_S + STAND_S])
        assert np.allclose(time_s[:4], within) and time_s[4] == pytest.approx(STAND_S + (STEPS + 1) * STEP_S + 0.1)
        # the plan's half step is the right foot's, its closing one the left's
        assert list(mirrored[2:]) == [steps % 2 == 0] * 3
    assert plan_time(np.array([np.nan]), np.array([np.inf]))[0][0] == 0.0


def test_standing_robots_are_told_to_stand():
    table, rest = gait_table(), np.zeros(1)
    qpos = table.stand_qpos[None] + np.concatenate([[3.0, -2.0, 0.0], np.zeros(27)])
    points = keypoints_of_joints(qpos[:, :3], qpos[:, 3:7], qpos[:, 7:])
    rows = table.look_up(rest, np.zeros(1, dtype=bool), rest, rest, rest)
    assert np.abs(command_of(*rows, qpos, points)).max() < 4e-3


def test_the_table_walks_ahead_and_its_mirror_turns_the_other_way():
    table, time_s = gait_table(), np.array([STAND_S + 2.3 * STEP_S])
    straight, wide = (table.look_up(time_s, np.zeros(1, dtype=bool), np.full(1, s), np.zeros(1), np.zeros(1))[0]
                      for s in (0.0, 0.26))  # fmt: skip
    assert wide[0, 1, 0] > straight[0, 1, 0] + 0.02
    left = table.look_up(time_s, np.array([False]), np.full(1, 0.1), np.full(1, 0.1), np.zeros(1))
    right = table.look_up(time_s, np.array([True]), np.full(1, 0.1), np.full(1, -0.1), np.zeros(1))
    assert left[0][0, 1, 18] == pytest.approx(-right[0][0, 0, 18]) and np.allclose(left[1], right[1][:, ::-1])


def test_turns_beyond_the_widest_go_on_with_the_tables_slope():
    table, no = gait_table(), np.zeros(1)

    def said(turn: float, *, mirrored: bool = False, stride: float = 0.2) -> np.ndarray:
        at = np.array([STAND_S + 2.4 * STEP_S]), np.array([mirrored]), np.full(1, stride), np.full(1, turn), no
        return table.look_up(*at)[0]

    assert np.allclose(said(0.39) - said(0.13), 2.0 * (said(0.13) - said(0.0))) and np.ptp(said(0.39) - said(0.13)) > 0
    assert np.allclose(said(-0.39) - said(-0.13), 2.0 * (said(-0.13) - said(0.0)))
    left, right = said(0.39)[0, 1], said(-0.39, mirrored=True)[0, 0]
    assert left[18] == pytest.approx(-right[18])
    assert np.array_equal(said(0.0, stride=0.26), said(0.0, stride=0.5))  # steps do not


def test_a_quick_walk_repeats_a_later_step_of_its_plan_at_the_same_speed():
    since = np.array([3.5, 4.5, 6.5]) * QUICK_STEP_S
    time_s, mirrored = plan_time(since, np.full(3, np.inf), QUICK_STEP_S)
    assert np.allclose(time_s, STAND_S + np.array([3.5, 4.5, 4.5]) * QUICK_STEP_S) and not mirrored.any()
    goes = []
    for step_s in (SLOW_STEP_S, QUICK_STEP_S):
        time_s, mirrored = plan_time(np.array([4.0, 5.0]) * step_s, np.full(2, np.inf), step_s)
        table, no = gait_table(step_s), np.zeros(2)
        rows, weights = table.look_up(time_s, mirrored, np.full(2, 0.2), no, no)
        assert table.step_s == step_s
        goes.append((weights * rows[..., 0]).sum(axis=1))
    assert goes[1] == pytest.approx(goes[0], abs=0.03)  # the root is led as far ahead of the feet that bear


def test_tables_of_other_steps_are_not_there():
    with pytest.raises(VmError, match="there are those of 0.65, 0.32 s"):
        gait_table(0.5)
