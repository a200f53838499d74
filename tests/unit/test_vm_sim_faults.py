"""The table of faults, and what the player makes of messages."""

import numpy as np
import pytest

from vm_core.errors import VmError
from vm_core.unitree_cdr import low_state_crc, new_low_state, parse_low_state
from vm_sim.faults import FAULTS, WALKER_FAULTS, FaultPlayer, GridSample, OdometrySample, find_fault, table
from vm_sim.faults.catalogue import POLICY_INPUTS
from vm_sim.faults.damage import DAMAGE


def state(tick: int) -> bytes:
    record = new_low_state()
    record["tick"] = tick
    record["imu"]["quaternion"][0] = 1.0
    record["crc"] = low_state_crc(record)
    return record.tobytes()


STREAM = [(0.002 * k, state(2 * k)) for k in range(300)]
ODOMETRY = OdometrySample(np.zeros(3), np.array([1.0, 0, 0, 0]), np.zeros(3))
GRID = GridSample(0.8, np.zeros(121), 11, 11, 0.1)


def played(name: str) -> list[list[bytes]]:
    player = FaultPlayer()
    player.play(name, 0.0)
    return [player.low_state(data, now) for now, data in STREAM]


def ticks(messages: list[bytes]) -> list[int]:
    return [int(parse_low_state(data)["tick"]) for data in messages]


def test_the_table_is_whole():
    assert len(FAULTS) >= 40
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert all(fault.end in ("DAMPING", "RUNNING") and fault.within_s > 0 for fault in FAULTS)
    assert all(fault.needs in POLICY_INPUTS for fault in FAULTS)
    assert len(table().splitlines()) == len(FAULTS) + 1
    with pytest.raises(VmError, match="no fault 'rain'; there are state_silent, "):
        find_fault("rain")


def test_without_a_fault_everything_passes():
    player = FaultPlayer()
    assert [player.low_state(data, now) for now, data in STREAM[:5]] == [[data] for _, data in STREAM[:5]]
    assert player.odometry(ODOMETRY, 0.0)[0] is ODOMETRY
    assert player.grid(GRID, 0.0)[0] is GRID
    assert player.scan(b"scan") == [b"scan"]
    assert player.command((1.0, 0.0, 0.0)) == (1.0, 0.0, 0.0)
    assert not player.push(0.0).any()
    player.play("state_silent", 1.0)
    assert player.low_state(state(1), 1.0) == []
    player.play("", 2.0)
    assert player.low_state(state(1), 2.0) == [state(1)]


def test_timing_faults():
    assert played("state_silent") == [[]] * 300
    assert set(ticks([m for sent in played("state_frozen") for m in sent])) == {0}
    assert [len(sent) for sent in played("state_delayed")].index(1) == pytest.approx(100, abs=1)
    assert sum(len(sent) for sent in played("state_lagging")) == 100
    assert sum(len(sent) for sent in played("state_gap")) == 270
    assert ticks([m for sent in played("state_swapped") for m in sent])[:4] == [2, 0, 6, 4]
    assert sum(len(sent) for sent in played("state_doubled")) == 600
    late = ticks([m for sent in played("state_jitter") for m in sent])
    assert sorted(late) != late and len(set(late)) > 290


@pytest.mark.parametrize(("name", "share"), [("crc_wrong", 1.0), ("crc_often", 0.4), ("crc_rarely", 0.02)])
def test_damaged_messages(name, share):
    sent = [message for messages in played(name) for message in messages]
    changed = np.mean([one != data for one, (_, data) in zip(sent, STREAM, strict=True)])
    assert changed == pytest.approx(share, abs=0.1)
    assert all(len(one) == len(STREAM[0][1]) for one in sent)


@pytest.mark.parametrize("name", DAMAGE)
def test_lies_have_a_right_checksum_and_change_something(name):
    player = FaultPlayer()
    player.play(name, 0.0)
    first = player.low_state(state(5000), 0.0)[0]
    second = new_low_state()
    second["tick"] = 5002
    second["imu"]["gyroscope"] = 0.1
    second["motor"]["q"][1:] = 0.2
    (lie,) = player.low_state(second.tobytes(), 0.002)
    record = parse_low_state(lie)
    assert int(record["crc"]) == low_state_crc(record)
    second["crc"] = low_state_crc(second)
    assert name == "motor_dead" or first != state(5000) or lie != second.tobytes()


def test_a_dip_ends():
    player = FaultPlayer()
    player.play("battery_dip", 0.0)
    assert player.low_state(state(1), 0.5) != [state(1)]
    assert player.low_state(state(1), 1.5) == [state(1)]


@pytest.mark.parametrize("name", ["odometry_silent", "odometry_nan", "odometry_jump"])
def test_odometry_faults(name):
    player = FaultPlayer()
    player.play(name, 0.0)
    assert not any(sample is ODOMETRY for sample in player.odometry(ODOMETRY, 0.1))


def test_frozen_senders_repeat_their_first_message():
    player = FaultPlayer()
    player.play("odometry_frozen", 0.0)
    moved = OdometrySample(np.ones(3), ODOMETRY.quat_wxyz, np.zeros(3))
    assert [player.odometry(sample, 0.0)[0] is ODOMETRY for sample in (ODOMETRY, moved)] == [True, True]
    player.play("lidar_frozen", 0.0)
    assert [player.scan(data) for data in (b"a", b"b")] == [[b"a"], [b"a"]]
    assert player.grid(GRID, 3.0)[0].scan_age_s == pytest.approx(3.1)
    player.play("lidar_silent", 0.0)
    assert player.scan(b"a") == []


@pytest.mark.parametrize("fault", [fault.name for fault in FAULTS if fault.name.startswith("grid_")])
def test_grid_faults_change_the_grid(fault):
    player = FaultPlayer()
    player.play(fault, 0.0)
    assert not any(sample is GRID for sample in player.grid(GRID, 0.1))


def test_physical_and_command_faults():
    player = FaultPlayer()
    player.play("pushed_over", 0.0)
    assert player.push(0.1).any() and not player.push(1.0).any()
    for name, dead in (("power_cut", "all"), ("motor_dead", "knee"), ("estop", "none")):
        player.play(name, 0.0)
        assert player.dead_motors == dead
    given = {}
    for name in ("command_stale", "command_nan", "command_huge"):
        player.play(name, 0.0)
        given[name] = player.command((0.5, 0.0, 0.0))
    assert given["command_stale"] is None
    assert given["command_nan"] is not None and np.isnan(given["command_nan"][0])
    assert given["command_huge"] == (1e9, -1e9, 1e9)


PICTURE = np.arange(1000, 1024, dtype=np.uint16).reshape(4, 6)


def pictures(name: str) -> list[np.ndarray]:
    player = FaultPlayer()
    player.play(name, 0.0)
    return [sent for picture in (PICTURE, PICTURE + 1) for sent in player.picture(picture)]


def test_faults_of_the_depth_camera():
    assert pictures("depth_silent") == []
    np.testing.assert_array_equal(pictures("depth_frozen")[1], PICTURE)
    assert not pictures("depth_zero")[0].any()
    assert pictures("depth_wrong_size")[0].shape == (2, 3)
    assert pictures("depth_wrong_encoding")[0].shape == (4, 6, 3)
    assert np.isnan(pictures("depth_nan")[0]).all()
    np.testing.assert_array_equal(pictures("depth_upside_down")[0], PICTURE[::-1, ::-1])
    np.testing.assert_array_equal(pictures("motor_hot")[1], PICTURE + 1)
    assert all(fault.needs == "depth" for fault in FAULTS if fault.name.startswith("depth_"))
    assert not [fault for fault in WALKER_FAULTS if fault.needs == "depth"]
