"""The shipped generalist under the controller that the node runs: it sits as long as the stick is held back."""

import numpy as np
import pytest
from walk_trial import Walk

from vm_core.scene_asset import SEAT, SceneAsset, SceneBox
from vm_policy_node.bringup import demo

POLICY = demo.DEMO_POLICY.with_name("g1_generalist.onnx")
HEIGHT_M = 0.35


def test_sits_down_rests_gets_up_and_walks_away():
    seat = SceneBox((-0.36, 0.0, 0.5 * HEIGHT_M), (0.25, 0.5, 0.5 * HEIGHT_M), label=SEAT)
    walk = Walk(POLICY, SceneAsset(boxes=(seat,)), seed=0)
    walk.run(1.0, lambda _: (0.0, 0.0, 0.0))
    standing = walk.pelvis[2]
    walk.run(7.0, lambda _: (-0.5, 0.0, 0.0))  # more than the contract allows
    least = walk.policy.contract.command_limits[0][0]
    assert least < 0.0 and walk.controller.command.value[0] == pytest.approx(least, abs=1e-3)
    seated = walk.pelvis
    assert seated[2] < standing - 0.1 and seated[0] < -0.15
    assert np.abs(walk.robot.data.qvel[:6]).max() < 0.2
    walk.run(5.5, lambda _: (0.0, 0.0, 0.0))
    assert walk.pelvis[2] > standing - 0.03
    walk.run(5.0, lambda _: (0.25, 0.0, 0.0))
    walk.run(3.0, lambda _: (0.0, 0.0, 0.0))
    assert walk.pelvis[2] > standing - 0.03 and walk.pelvis[0] > 0.3


def test_backwards_without_a_seat_is_standing_still():
    walk = Walk(POLICY, SceneAsset(source="flat"), seed=0)
    walk.run(1.0, lambda _: (0.0, 0.0, 0.0))
    before = walk.pelvis
    walk.run(5.0, lambda _: (-0.2, 0.0, 0.0))
    assert np.linalg.norm(walk.pelvis[:3] - before[:3]) < 0.05


@pytest.mark.parametrize("rise_m", [0.17, -0.14])
def test_takes_the_stairs_of_a_house(rise_m):
    """Four steps, as high as common ones are up, from three first edges within a stride: most are taken."""
    assert sum(_takes_stairs(rise_m, ahead_m) for ahead_m in (0.7, 0.8, 0.9)) >= 2


def _takes_stairs(rise_m: float, ahead_m: float, count: int = 4, run_m: float = 0.29) -> bool:
    """Whether it stands beyond them in the end, steered as somebody with a stick would."""
    walk = Walk(POLICY, _stairs(rise_m, ahead_m, count, run_m), seed=0)
    walk.run(1.0, lambda _: (0.0, 0.0, 0.0))
    before = walk.pelvis

    def steered(_: float) -> tuple[float, float, float]:
        x, y, _, heading = walk.pelvis
        over = x > ahead_m + run_m * count + 0.4
        return (0.0, 0.0, 0.0) if over else (0.3, 0.0, float(np.clip(-1.0 * heading - 0.8 * y, -0.3, 0.3)))

    try:
        walk.run(22.0, steered)
    except AssertionError:  # the controller let go of it
        return False
    beyond = walk.pelvis[0] > ahead_m + run_m * count + 0.3
    return bool(beyond and abs(walk.pelvis[2] - before[2] - count * rise_m) < 0.06)


def _stairs(rise_m: float, ahead_m: float, count: int, run_m: float) -> SceneAsset:
    levels = [rise_m * (k + 1) for k in range(count)] if rise_m > 0 else [-rise_m * (count - k) for k in range(count)]
    starts = [ahead_m + run_m * k for k in range(count)] if rise_m > 0 else [-2.0, *(ahead_m + run_m * np.arange(3))]
    ends = [*starts[1:], starts[-1] + (3.0 if rise_m > 0 else run_m)]
    boxes = tuple(
        SceneBox((0.5 * (start + end), 0.0, 0.5 * level), (0.5 * (end - start), 1.2, 0.5 * level), label="step")
        for level, start, end in zip(levels, starts, ends, strict=True)
    )
    return SceneAsset(boxes=boxes)
