"""The message packages: wire size of Unitree's and Livox's messages, and a message that travels over DDS."""

from __future__ import annotations

import time

import pytest

from vm_core import livox_cdr, unitree_cdr

rclpy = pytest.importorskip("rclpy", reason="run under vm-ros-env")
serialization = pytest.importorskip("rclpy.serialization")
RECEIVE_TIMEOUT_S = 20.0


def test_unitree_messages_have_the_wire_layout_of_the_numpy_records() -> None:
    hg = pytest.importorskip("unitree_hg.msg")
    assert len(serialization.serialize_message(hg.LowState())) == unitree_cdr.LOW_STATE.itemsize == 2092
    assert len(serialization.serialize_message(hg.LowCmd())) == unitree_cdr.LOW_CMD.itemsize == 1004


@pytest.mark.parametrize(
    ("name", "size", "last_field"),
    [
        ("BmsCmd", 48, "reserve"),
        ("BmsState", 168, "reserve"),
        ("HandCmd", 24, "reserve"),
        ("HandState", 100, "reserve"),
        ("IMUState", 60, "temperature"),
        ("MainBoardState", 76, "state"),
        ("MotorCmd", 32, "reserve"),
        ("MotorState", 60, "reserve"),
        ("PressSensorState", 108, "reserve"),
    ],
)
def test_unitree_parts_have_the_public_wire_size(name: str, size: int, last_field: str) -> None:
    """Sizes by hand from CDR's alignment, with empty sequences, the 4-byte header and Fast CDR's end on four."""
    kind = getattr(pytest.importorskip("unitree_hg.msg"), name)
    assert len(serialization.serialize_message(kind())) == size
    assert list(kind.get_fields_and_field_types())[-1] == last_field


def test_hands_carry_motors_and_pads() -> None:
    hg = pytest.importorskip("unitree_hg.msg")
    state = hg.HandState(motor_state=[hg.MotorState(q=0.5)] * 7, press_sensor_state=[hg.PressSensorState(lost=3)] * 9)
    back = serialization.deserialize_message(serialization.serialize_message(state), hg.HandState)
    assert [motor.q for motor in back.motor_state] == [0.5] * 7
    assert [pad.lost for pad in back.press_sensor_state] == [3] * 9


def test_a_low_state_field_lies_where_the_record_says() -> None:
    hg = pytest.importorskip("unitree_hg.msg")
    message = hg.LowState(tick=123456)
    message.motor_state[28].q = 0.75
    data = serialization.serialize_message(message)
    record = unitree_cdr.parse_low_state(data)
    assert int(record["tick"]) == 123456
    assert float(record["motor"]["q"][28]) == 0.75


def test_a_livox_message_is_read_from_its_bytes() -> None:
    livox = pytest.importorskip("livox_ros_driver2.msg")
    message = livox.CustomMsg(point_num=1, points=[livox.CustomPoint(x=1.0, y=-2.0, z=0.5, offset_time=7)])
    message.header.frame_id = "livox_frame"
    scan = livox_cdr.decode_custom_msg(serialization.serialize_message(message))
    assert scan.frame_id == "livox_frame"
    assert scan.xyz.tolist() == [[1.0, -2.0, 0.5]]
    assert scan.points["offset_time"].tolist() == [7]


def test_a_height_grid_travels_over_dds(ros_domain: int) -> None:
    messages = pytest.importorskip("vm_msgs.msg")
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=ros_domain)
    node = rclpy.create_node("message_test", context=context)
    received: list = []
    try:
        node.create_subscription(messages.HeightGrid, "grid", received.append, 1)
        publisher = node.create_publisher(messages.HeightGrid, "grid", 1)
        executor = rclpy.executors.SingleThreadedExecutor(context=context)
        executor.add_node(node)
        end = time.monotonic() + RECEIVE_TIMEOUT_S
        while not received and time.monotonic() < end:
            publisher.publish(messages.HeightGrid(size_x=1, size_y=2, height=[0.5, 0.25], epoch=3))
            executor.spin_once(timeout_sec=0.1)
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)
    assert received and list(received[0].height) == [0.5, 0.25]
    assert received[0].epoch == 3
