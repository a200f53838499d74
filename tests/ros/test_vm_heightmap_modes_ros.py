"""The running node under a lifecycle manager, under a simulation's clock, and on Unitree's LiDAR topics."""

import subprocess

import playing
import pytest


def test_a_lifecycle_manager_starts_and_stops_it(ros_domain: int) -> None:
    found = playing.play("modes.py", ros_domain, ("lifecycle",), "autostart:=false")["lifecycle"]
    states = {"configure": "inactive", "activate": "active", "deactivate": "inactive", "cleanup": "unconfigured"}
    for name, state in (states | {"configure again": "inactive", "activate again": "active"}).items():
        assert found[name]["done"], name
        assert found[name]["state"] == state
        assert (found[name]["grids"] > 20) == (state == "active"), name


def test_under_a_simulations_clock_it_keeps_that_clocks_time(ros_domain: int) -> None:
    found = playing.play("modes.py", ros_domain, ("sim_time",), "use_sim_time:=true")["sim_time"]
    assert found["rate_hz"] == pytest.approx(50.0, rel=0.15)
    assert found["errors"] == []
    # time stands still: nothing is due, nothing gets old
    assert found["while_stopped"] <= 1
    assert found["errors_while_stopped"] == 0
    assert found["epochs"] == 1
    assert found["rate_after_hz"] == pytest.approx(50.0, rel=0.2)


def test_unitrees_topics_and_a_grid_that_looks_ahead(ros_domain: int) -> None:
    parameters = ["cloud_topic:=/utlidar/cloud_livox_mid360", "imu_topic:=/utlidar/imu_livox_mid360"]
    parameters += ["odometry_source:=own", "grid_size_x:=17", "grid_center_x_m:=0.3"]
    found = playing.play("modes.py", ros_domain, ("utlidar",), *parameters)["utlidar"]
    assert found["off_m"] < 0.02
    assert abs(found["height_off_m"]) < 0.04
    assert found["unit"] == "g"
    assert found["matched"] > 400
    assert found["geometry"] == [17, 11, 0.3]
    assert found["frames"] == ["odom", "pelvis"]
    assert 0.0 < found["scan_age_s"] < 1.0
    assert found["rates"]["grid_hz"] > 30.0
    assert found["rates"]["lidar_hz"] > 5.0
    assert found["layers"] > 3
    assert found["cubes"] == 17 * 11
    assert found["saved"] == [200, 200]
    assert found["known"] > 0.9


@pytest.mark.parametrize("parameter", ["odometry_source:=gps", "grid_size_x:=0", "odometry_body:=arm"])
def test_parameters_that_cannot_be_end_it_with_a_line(ros_domain: int, parameter: str) -> None:
    command, env = playing.node_command(parameter), playing.node_environment(ros_domain)
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith("error: ")
