"""Keys move while they are held, and only then."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vm_policy_node.keyboard_teleop import MOVES, REQUESTS, KeyboardTeleop


def hold(teleop: KeyboardTeleop, key: str, start_s: float, seconds: float) -> float:
    """As a terminal tells of it: the first repeat after half a second, then 30 a second; returns the last time."""
    times = [start_s, *np.arange(start_s + 0.5, start_s + seconds, 1.0 / 30.0)]
    for now in times:
        teleop.on_key(key, float(now))
        assert teleop.velocity(float(now)).any()
    return float(times[-1])


def test_a_held_key_moves_without_a_gap_and_stops_soon_after():
    teleop = KeyboardTeleop()
    teleop.on_key("w", 0.0)
    assert teleop.velocity(0.49)[0] == 0.5  # the first repeat is still to come
    last = hold(teleop, "w", 0.5, 2.0)
    assert teleop.velocity(last + 0.1)[0] == 0.5
    assert not teleop.velocity(last + 0.16).any()


def test_a_tap_ends_by_itself():
    teleop = KeyboardTeleop()
    teleop.on_key("a", 0.0)
    assert teleop.velocity(0.0)[2] == 0.4
    assert not teleop.velocity(0.61).any()


def test_keys_add_up_and_opposite_ones_take_over():
    teleop = KeyboardTeleop()
    teleop.on_key("w", 0.0)
    teleop.on_key("d", 0.1)
    np.testing.assert_allclose(teleop.velocity(0.2), [0.5, 0.0, -0.4])
    teleop.on_key("s", 0.3)
    np.testing.assert_allclose(teleop.velocity(0.3), [-0.5, 0.0, -0.4])


def test_space_and_damp_stop_at_once():
    for key in (" ", "x", "\x1b"):
        teleop = KeyboardTeleop()
        teleop.on_key("w", 0.0)
        assert teleop.on_key(key, 0.1) == ("" if key == " " else "damp")
        assert not teleop.velocity(0.1).any()


def test_plus_and_minus_stay_within_bounds():
    teleop = KeyboardTeleop()
    for _ in range(40):
        teleop.on_key("+", 0.0)
    assert teleop.factor == 2.0
    for _ in range(40):
        teleop.on_key("-", 0.0)
    assert abs(teleop.factor - 0.1) < 1e-9


@given(keys=st.lists(st.tuples(st.text(max_size=1), st.floats(0.0, 5.0)), max_size=60))
def test_any_keys_give_bounded_velocities_that_end(keys):
    teleop = KeyboardTeleop()
    for key, now in sorted(keys, key=lambda item: item[1]):
        assert teleop.on_key(key, now) in ("", *REQUESTS.values())
        assert np.all(np.abs(teleop.velocity(now)) <= 2.0 * np.array(teleop.speed) + 1e-9)
    assert not teleop.velocity(5.0 + teleop.first_hold_s + 0.01).any()
    assert len(MOVES) == 6
