"""What viewers draw of a simulated object: the simulator's marker, and the browser's page."""

import numpy as np
import pytest

from vm_core.errors import VmError
from vm_sim.objects import OBJECT_SCENES

markers = pytest.importorskip("vm_sim.robot_ros_conversions", reason="no ROS messages")
live_view = pytest.importorskip("vm_sim.live_view", reason="no viser")
POSE = np.array([1.0, -0.5, 0.11, 0.6, 0.0, 0.0, 0.8])


@pytest.mark.parametrize(("task", "kind"), [("kick_ball", 2), ("push_box", 1)])
def test_markers_have_the_objects_shape_size_and_place(task: str, kind: int):
    thing = OBJECT_SCENES[task].thing
    marker = markers.object_marker(thing, "map")
    markers.place_marker(marker, POSE, 3_000_000_000)
    assert (marker.type, marker.action, marker.header.frame_id, marker.header.stamp.sec) == (kind, 0, "map", 3)
    assert [marker.scale.x, marker.scale.y, marker.scale.z] == pytest.approx(thing.size)
    place, turn = marker.pose.position, marker.pose.orientation
    assert [place.x, place.y, place.z, turn.w, turn.x, turn.y, turn.z] == pytest.approx(POSE)
    assert marker.color.a == pytest.approx(1.0)


def test_the_page_shows_one_object_where_it_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live_view, "link_meshes", lambda: [])
    try:
        view = live_view.LiveView("127.0.0.1", 18765, str)
    except VmError as error:
        pytest.skip(str(error))
    color = np.array([0.8, 0.5, 0.25])
    view.show_object(True, np.full(3, 0.22), color, POSE)
    ball = view._object
    view.show_object(True, np.full(3, 0.22), color, POSE + [0.1, 0, 0, 0, 0, 0, 0])
    assert view._object is ball and ball.radius == pytest.approx(0.11) and ball.position[0] == pytest.approx(1.1)
    view.show_object(False, np.array([0.4, 0.5, 0.6]), color, POSE)
    assert view._object.dimensions == pytest.approx((0.4, 0.5, 0.6)) and view._object.wxyz == pytest.approx(POSE[3:])
    view.stop()
