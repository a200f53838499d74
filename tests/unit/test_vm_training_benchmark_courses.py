"""Courses of the benchmark: where they begin for whom."""

from dataclasses import replace

import numpy as np
import pytest

from vm_core.scene_asset import SceneAsset, SceneBox
from vm_training.benchmark.courses import Episode, chosen_courses


def test_who_must_see_the_ground_first_starts_farther_off():
    """The same boxes, ahead along the way; a seat, a slope and level ground stay where they are."""
    scene = SceneAsset(boxes=(SceneBox((1.2, 0.0, 0.05), (0.2, 1.5, 0.05)),))
    way = Episode(scene, 2.0, 0.4, 10.0, heading=np.pi / 2)
    farther = way.from_afar(1.0)
    np.testing.assert_allclose(farther.scene.boxes[0].center_world, (1.2, 1.0, 0.05))
    assert farther.goal_m == 3.0 and farther.time_limit_s == pytest.approx(14.0)
    leaves = chosen_courses(("leave_seat",))[0].make(0, np.random.default_rng(0))
    for stays in (leaves, replace(way, scene=SceneAsset()), replace(way, scene=_sloping(scene))):
        assert stays.from_afar(1.0) is stays


def _sloping(scene: SceneAsset) -> SceneAsset:
    return replace(scene, ground=(0.1, 0.0, 0.0))


def test_who_leaves_a_seat_begins_right_before_it():
    tops = set()
    for index in range(4):
        way = chosen_courses(("leave_seat",))[0].make(index, np.random.default_rng(index))
        (box,) = way.scene.boxes
        tops.add(round(box.top, 2))
        assert way.seat_m == 0.0 and way.goal_m == 1.5  # which is walked to, and not sat on
        assert -0.13 < box.center_world[0] + box.half_size[0] < -0.07
    assert tops == {0.35, 0.4, 0.45, 0.5}


@pytest.mark.parametrize("name", ["stairs_up_10cm", "stairs_down_14cm", "kerbs", "rough", "mixed"])
def test_steps_up_to_the_first_edge_are_others_each_time(name):
    """A walker that always began equally far off would have to master one way of placing its feet only."""
    course, edges = chosen_courses((name,))[0], set()
    for index in range(24):
        boxes = course.make(index, np.random.default_rng(index)).scene.boxes
        sides = [b.center_world[0] + side * b.half_size[0] for b in boxes for side in (-1.0, 1.0)]
        edges.add(round(min(side for side in sides if side > 0.0), 3))
    assert min(edges) >= 0.8
    assert len(edges) == 5 and max(edges) - min(edges) == pytest.approx(0.8 * 0.26)
