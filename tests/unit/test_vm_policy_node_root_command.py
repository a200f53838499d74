"""Priority, limits, timeout and decay of the operator's velocity."""

import math

import numpy as np
import pytest

from vm_policy_node.root_command import CommandConfig, RootCommandMixer, with_deadzone

LOWER, UPPER = np.array([-0.5, -0.3, -0.2]), np.array([1.0, 0.3, 0.2])


def settle(mixer: RootCommandMixer, start_s: float, seconds: float) -> np.ndarray:
    for k in range(int(seconds / 0.02)):
        mixer.update(start_s + 0.02 * k, 0.02)
    return mixer.value


def test_deadzone_is_continuous_and_keeps_the_ends():
    assert with_deadzone(0.05, 0.05) == 0.0
    assert with_deadzone(0.0501, 0.05) == pytest.approx(0.0, abs=1e-3)
    assert with_deadzone(-1.0, 0.05) == -1.0
    assert with_deadzone(1.7, 0.05) == 1.0
    assert with_deadzone(math.nan, 0.05) == 0.0


def test_cmd_vel_is_limited_and_reached():
    mixer = RootCommandMixer(LOWER, UPPER, CommandConfig(timeout_s=10.0))
    mixer.on_cmd_vel(3.0, 0.0, -1.0, 0.0)
    np.testing.assert_allclose(settle(mixer, 0.0, 2.0), [1.0, 0.0, -0.2], atol=1e-3)
    assert mixer.source == "cmd_vel"


def test_a_silent_source_decays_to_zero():
    mixer = RootCommandMixer(LOWER, UPPER)
    mixer.on_cmd_vel(0.5, 0.0, 0.0, 0.0)
    assert settle(mixer, 0.0, 0.4)[0] > 0.3
    first = mixer.update(0.52, 0.02)[0]
    assert 0.2 < first < 0.5  # no jump
    np.testing.assert_allclose(settle(mixer, 0.54, 2.0), 0.0, atol=1e-3)
    assert mixer.source == "none"


def test_the_remote_comes_before_cmd_vel_and_gives_way_when_left_alone():
    mixer = RootCommandMixer(LOWER, UPPER, CommandConfig(timeout_s=10.0))
    mixer.on_cmd_vel(0.5, 0.0, 0.0, 0.0)
    mixer.on_remote(0.0, -1.0, 1.0, 0.0)
    mixer.update(0.1, 0.02)
    assert mixer.source == "remote"
    assert mixer.value[0] < 0.0
    assert mixer.value[2] < 0.0  # stick to the right turns right
    mixer.on_remote(0.0, 0.0, 0.0, 0.2)
    mixer.update(0.3, 0.02)
    assert mixer.source == "remote"  # centred sticks brake first
    mixer.update(1.0, 0.02)
    assert mixer.source == "cmd_vel"


def test_numbers_that_are_not_finite_are_dropped():
    mixer = RootCommandMixer(LOWER, UPPER)
    mixer.on_cmd_vel(math.nan, 0.0, 0.0, 0.0)
    mixer.on_remote(math.nan, math.inf, math.nan, 0.0)
    assert np.all(np.isfinite(settle(mixer, 0.0, 0.3)))


@pytest.mark.parametrize("bad", [{"deadzone": 1.0}, {"timeout_s": 0.0}, {"decay_s": -1.0}])
def test_config_is_checked(bad):
    with pytest.raises(ValueError):
        CommandConfig(**bad)
