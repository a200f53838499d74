"""Object tasks: what pays, what counts as success, as VISUAL.md says it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from vm_core.errors import VmError
from vm_sim.objects import OBJECT_SCENES
from vm_training.visual.generator import HEADING_SCALE, facing
from vm_training.visual.measures import Measures
from vm_training.visual.object_evaluation import Stillness
from vm_training.visual.task_rewards import TaskRewards, approach, nearness
from vm_training.visual.tasks import OBJECT_TASKS, find_object_task
from vm_training.visual.tasks.base import HARD_TURN_RAD, ObjectView
from vm_training.visual.tasks.kick_ball import dribble
from vm_training.visual.tasks.push_box import push


def view(name: str, *, moved: tuple[float, float, float] = (0.0, 0.0, 0.0), speed: float = 0.0) -> ObjectView:
    """A robot at the origin that looks along x, and the task's object, moved from its start."""
    thing = OBJECT_SCENES[name].thing
    start = np.array([thing.start_pos])
    zero = np.zeros(1)
    return ObjectView(
        root=np.array([[0.0, 0.0, 0.75]]),
        heading=zero,
        thing=start + np.array([moved]),
        thing_yaw=zero,
        thing_vel=np.array([[speed, 0.0, 0.0]]),
        start=start,
        half_size=thing.half_size[None],
        weight_n=zero,
        hands=np.array([[[0.3, 0.2, 0.8], [0.3, -0.2, 0.8]]]),
        feet=np.array([[[0.0, 0.1, 0.0], [0.0, -0.1, 0.0]]]),
    )


def reward(name: str, now: ObjectView) -> float:
    return float(TaskRewards(OBJECT_TASKS[name], 1).working(now)[0])


_FINE = {"forward": 9.0, "drift": 0.5, "distance": 9.0, "alive": 60.0, "gap": 0.5, "height": 1.0, "goal": 0.02}
_FINE |= {"foot_gap": 0.05, "fastest": 1.5, "dropped": 0.0}
_FAILS = {
    "push_box": [{"forward": 2.9}, {"drift": 3.0}],
    "kick_box": [{"forward": 2.9}, {"drift": 3.0}],
    "kick_ball": [{"forward": 4.9}, {"drift": 3.0}],
    "reach_box": [{"gap": 0.9}, {"distance": 0.2}],
    "lift_box": [{"height": 0.8}, {"height": 1.2}, {"dropped": 1.0}],
    "large_kick": [{"fastest": 0.9}, {"forward": 0.9}],
    "balance_ball": [{"foot_gap": 0.1}, {"distance": 0.2}],
    "push_cube": [{"goal": 0.06}, {"height": 0.3}],
}


@pytest.mark.parametrize("name", sorted(OBJECT_TASKS))
def test_success_is_what_the_text_says(name: str):
    fine = _FINE | ({"distance": 0.05} if name in ("reach_box", "balance_ball") else {})
    for change in (*_FAILS[name], {"alive": 59.0}):
        found = OBJECT_TASKS[name].success({k: np.array([v, (fine | change)[k]]) for k, v in fine.items()})
        assert found.tolist() == [True, False], change


def test_lifting_pays_by_height():
    heights = [reward("lift_box", view("lift_box", moved=(0.0, 0.0, z))) for z in (0.0, 0.3, 0.75 - 0.005, 1.2)]
    assert heights[0] < heights[1] < heights[2] > heights[3]
    assert OBJECT_TASKS["lift_box"].weights.height == 5.0 and OBJECT_TASKS["lift_box"].height_m == 1.0


def test_a_strong_kick_pays_by_speed_ahead_only():
    still, ahead, back = (reward("large_kick", view("large_kick", speed=v)) for v in (0.0, 1.0, -1.0))
    assert ahead - still == pytest.approx(10.0 * np.tanh(1.0)) and back == pytest.approx(still)


def test_a_foot_on_the_ball_pays():
    off = view("balance_ball")
    top = off.thing[0] + [0.0, 0.0, off.half_size[0, 2]]
    on = replace(off, feet=np.stack([off.feet[0, 0], top])[None])
    gain = 5.0 * (1.0 - nearness(off.foot_gap)[0])
    assert reward("balance_ball", on) - reward("balance_ball", off) == pytest.approx(gain) and on.foot_gap[0] == 0.0


def test_the_cube_pays_where_it_is_to_go():
    rewards = [reward("push_cube", view("push_cube", moved=(x, 0.0, 0.0))) for x in (0.0, 0.1, 0.15, 0.25)]
    assert rewards[0] < rewards[1] < rewards[2] > rewards[3]


def test_palms_on_the_box_are_nearest():
    task, far = OBJECT_TASKS["lift_box"], view("lift_box")
    sides = far.thing[:, None] + far.half_size[:, None] * np.array([[[0.0, 1.0, 0.0], [0.0, -1.0, 0.0]]])
    assert approach(task, replace(far, hands=sides))[0] == pytest.approx(1.0) and approach(task, far)[0] < 0.9
    above = replace(far, hands=sides + [0.0, 0.0, 1.0])
    assert approach(task, above)[0] < 0.95


def test_a_box_that_comes_down_again_was_dropped():
    seen = Measures(OBJECT_TASKS["lift_box"], 2)
    for z in (0.0, 0.5, 0.05):
        at = view("lift_box", moved=(0.0, 0.0, z))
        both = replace(at, thing=np.repeat(at.thing, 2, axis=0), start=np.repeat(at.start, 2, axis=0))
        both.thing[1, 2] = at.start[0, 2] + min(z, 0.2)
        seen.update(both, np.array([True, True]))
    assert seen.values["dropped"].tolist() == [1.0, 0.0]


def test_what_happens_after_a_fall_does_not_count():
    seen = Measures(OBJECT_TASKS["kick_ball"], 1)
    seen.update(view("kick_ball", moved=(1.0, 0.0, 0.0), speed=2.0), np.array([True]))
    seen.update(view("kick_ball", moved=(5.0, 3.0, 0.0), speed=9.0), np.array([False]))
    assert seen.values["forward"][0] == pytest.approx(1.0) and seen.values["fastest"][0] == pytest.approx(2.0)


def test_a_moment_between_two_movements_is_no_rest():
    moves = np.ones(300)  # rad/s of all joints, by control step
    moves[20:60] = moves[100:180] = moves[200:] = 0.0
    found = Stillness(3)
    for step, speed in enumerate(moves):
        qvel = np.zeros((3, 29))
        qvel[:2, 6:] = speed
        qvel[2, 0] = 0.1  # rolls on
        found.update(step, qvel, np.array([True, step > 150, True]))
    assert 100 < found.at[0] <= 110 and 200 < found.at[1] <= 210 and np.isinf(found.at[2])


def ball_at(ahead: float, aside: float) -> ObjectView:
    now = view("kick_ball")
    return replace(now, thing=np.array([[ahead, aside, 0.11]]))


def test_the_dribbler_waits_for_a_ball_that_its_feet_would_pass():
    before, beside = dribble(ball_at(0.45, 0.05)), dribble(ball_at(0.45, 0.3))
    assert before.stride[0] > 0.2 and beside.stride[0] < 0.05 and beside.turn[0] == HARD_TURN_RAD
    assert dribble(ball_at(0.45, -0.3)).turn[0] == -HARD_TURN_RAD


def test_a_ball_out_of_the_picture_is_turned_to_on_the_spot():
    for ahead, aside in ((-0.4, -0.3), (-0.4, 0.3), (0.2, 0.4), (0.1, -0.3)):
        lost = dribble(ball_at(ahead, aside))
        assert lost.turn[0] == np.sign(aside) * HARD_TURN_RAD and lost.stride[0] == 0.0
    assert dribble(ball_at(0.2, 0.1)).stride[0] > 0.1  # before the feet: go on


def test_the_dribbler_comes_behind_the_ball_first():
    turned = replace(ball_at(0.7, 0.6), heading=np.array([0.7]))  # faces it, but along the diagonal
    assert dribble(turned).turn[0] > 0.1  # to a point on this side of it
    assert abs(dribble(ball_at(0.9, 0.1)).turn[0]) < 0.25  # nearly behind: through it


def test_the_dribbler_brings_the_ball_back_to_the_lane():
    def beside(lane_m: float) -> float:
        """The turn before a ball straight ahead, so far to the left of the lane."""
        now, aside = ball_at(0.9, 0.0), np.array([0.0, lane_m, 0.0])
        return float(dribble(replace(now, root=now.root + aside, thing=now.thing + aside)).turn[0])

    assert beside(0.0) == pytest.approx(0.0) and beside(1.5) > 0.1 and beside(-1.5) < -0.1  # round it first


def test_who_sees_a_lane_turned_faces_the_way_of_the_script():
    """The script at any place of the lane does what it does on the line from the ball to its goal."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        heading, ahead, left, lane = rng.uniform((-1.0, 0.0, -0.6, -1.5), (1.0, 1.5, 0.6, 1.5))
        now = replace(ball_at(1.0, 0.0), heading=np.array([heading]))
        there = dribble(now.as_thought(np.array([[ahead, left, lane]])))
        scaled = HEADING_SCALE * torch.tensor([[np.cos(heading), np.sin(heading)]])
        cos, sin = facing(scaled, torch.tensor([[ahead, left, lane]]))[0].numpy() / HEADING_SCALE
        on_line = -(sin * ahead + cos * left)
        now = replace(now, heading=np.array([np.arctan2(sin, cos)]))
        here = dribble(now.as_thought(np.array([[ahead, left, on_line]])))
        assert np.hypot(cos, sin) == pytest.approx(1.0)
        assert np.allclose([there.turn, there.stride], [here.turn, here.stride])


def test_a_view_can_be_told_what_is_thought():
    now = replace(view("kick_ball"), root=np.array([[1.0, 2.0, 0.75]]), heading=np.array([2.0]))
    thought = now.as_thought(np.array([[0.6, -0.2, 0.3]]))
    assert np.allclose(thought.ahead(thought.thing), [[0.6, -0.2]]) and thought.root[0, 1] == 0.3
    assert np.allclose([thought.thing[0, 2], thought.root[0, 2]], [now.thing[0, 2], 0.75])


def test_unknown_tasks_are_named():
    with pytest.raises(VmError, match="push_box"):
        find_object_task("paint_fence")


def test_pushers_step_less_the_less_the_box_gives_way():
    def stride(gap: float) -> float:
        far = view("push_box")
        at = far.thing + [gap - far.gap[0], 0.0, 0.0]
        return float(push(replace(far, thing=at)).stride[0])

    blocked, giving, free = stride(0.2), stride(0.3), stride(0.8)
    assert 0.05 < blocked < 0.1 < giving < 0.16 < free  # and never stand


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_a_pusher_heads_back_to_the_line_that_the_box_began_on(side: float):
    near = view("push_box", moved=(-0.3, 0.0, 0.0))
    drifted = [
        replace(near, thing=near.thing + [0.0, side * by, 0.0], root=near.root + [0.0, side * by, 0.0])
        for by in (0.0, 0.05, 0.2, 2.0)
    ]
    straight, little, more, most = (-side * float(push(now).turn[0]) for now in drifted)
    assert abs(straight) < 1e-9 < little < more <= most <= HARD_TURN_RAD
