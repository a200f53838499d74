"""Even flights of stairs and the vertical of all frames."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from vm_reconstruction.geometry import flight, gravity
from vm_reconstruction.stages import steps


@given(st.integers(3, 9), st.floats(0.1, 0.22), st.integers(0, 10_000))
def test_a_flight_is_surer_than_its_stances(count: int, rise: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    std = np.full(count, 0.01)
    true = rise * np.arange(count)
    seen = true + std * np.clip(rng.normal(size=count), -1.0, 1.0)
    found = flight.even(seen, std)
    assert found is not None
    heights, steps = found
    np.testing.assert_array_equal(steps, np.arange(count))
    assert np.ptp(np.diff(heights)) < 1e-9
    assert np.linalg.norm(heights - true) <= np.linalg.norm(seen - true) + 1e-9


def test_a_skipped_tread_is_counted() -> None:
    found = flight.even(np.array([0.0, 0.30, 0.45, 0.60]), np.full(4, 0.01))
    assert found is not None
    np.testing.assert_array_equal(found[1], [0, 2, 3, 4])
    np.testing.assert_allclose(found[0], [0, 0.30, 0.45, 0.60], atol=1e-9)


@pytest.mark.parametrize("tops", [[0.0, 0.1, 0.38], [0.0, 0.03, 0.06], [0.0, 0.5, 1.0], [0.0, 0.10, 0.265]])
def test_uneven_levels_and_no_stairs_are_left_alone(tops: list[float]) -> None:
    assert flight.even(np.array(tops), np.full(3, 0.01)) is None


def test_flights_share_their_landing() -> None:
    assert flight.flights(np.array([0.0, 0.2, 0.4, 0.2, 0.0])) == [slice(0, 3), slice(2, 5)]
    assert flight.flights(np.array([0.0, 0.2, 0.0])) == []


def test_treads_of_a_flight_are_equally_long() -> None:
    edges = flight.even_edges(np.array([0.02, 0.27, 0.60, 0.90]), np.arange(5.0), np.full(4, 0.03))
    assert np.ptp(np.diff(edges)) < 1e-9
    np.testing.assert_allclose(edges, [0.0, 0.3, 0.6, 0.9], atol=0.03)


@given(st.floats(-10, 10), st.floats(-10, 10))
def test_levelling_turns_up_into_z_by_the_shortest_way(roll: float, pitch: float) -> None:
    up = Rotation.from_euler("xy", [roll, pitch], degrees=True).apply([0.0, 0.0, 1.0])
    Q = gravity.levelling(up)
    np.testing.assert_allclose(Q @ up, [0.0, 0.0, 1.0], atol=1e-9)
    assert np.degrees(Rotation.from_matrix(Q).magnitude()) == pytest.approx(
        np.degrees(np.arccos(min(1.0, up[2]))), abs=1e-4
    )


def test_walking_people_and_the_floor_correct_a_leaning_first_frame() -> None:
    rng = np.random.default_rng(0)
    lean = Rotation.from_euler("xy", [3.0, -2.0], degrees=True)  # of the world that the first frame gave
    ankle = np.column_stack([np.linspace(0, 3, 150), 0.1 * np.sin(np.arange(150) / 5), np.full(150, 0.08)])
    neck = ankle + [0.0, 0.0, 1.35] + 0.02 * rng.normal(size=(150, 3))
    cloud = np.column_stack([rng.uniform(-1, 4, 4000), rng.uniform(-1, 1, 4000), 0.01 * rng.normal(size=4000)])
    opinions = gravity.upright_people([lean.apply(0.5 * (neck + ankle))], [lean.apply(neck)], [lean.apply(ankle)], 30.0)
    opinions += gravity.floor(lean.apply(cloud), lean.apply(ankle))
    assert len(opinions) == 2
    off = np.degrees(np.arccos(gravity.combined(opinions) @ lean.apply([0.0, 0.0, 1.0])))
    assert off < 0.7 < np.degrees(lean.magnitude())


def test_people_who_sit_and_slopes_say_nothing_of_the_vertical() -> None:
    neck = np.tile([-0.4, 0.0, 0.9], (150, 1))
    neck[:30] = [0.0, 0.0, 1.4]  # stood for a second, then sat
    (one,) = gravity.upright_people([0.5 * neck], [neck], [np.zeros((150, 3))], 30.0)
    np.testing.assert_allclose(one.up, [0, 0, 1], atol=1e-9)
    steep = gravity.Vertical(np.array([np.sin(0.4), 0.0, np.cos(0.4)]), 0.01)
    np.testing.assert_allclose(gravity.combined([steep]), [0, 0, 1], atol=1e-9)


def test_feet_far_from_the_first_and_last_edge_do_not_move_it() -> None:
    true = np.array([0.0, 0.3, 0.6, 0.9])
    low = np.append(-np.inf, true + 0.02)  # heels on the treads and the landing
    high = np.append(true - 0.02, np.inf)  # toes on the ground and the treads
    low[-1], high[0] = 0.9 + 0.15, -0.12  # nobody steps close to the edges there
    gaps = low[1:] - high[:-1]
    places, widths = steps._beside_landings(0.5 * (low[1:] + high[:-1]), gaps, low, high)
    np.testing.assert_allclose(places, true, atol=1e-9)
    np.testing.assert_allclose(widths, 0.04, atol=1e-9)


def test_what_told_the_vertical_is_said_in_shares_and_angles() -> None:
    def leaning(deg: float, std_deg: float, source: str) -> gravity.Vertical:
        tilt = np.radians(deg)
        return gravity.Vertical(np.array([np.sin(tilt), 0.0, np.cos(tilt)]), np.radians(std_deg), source)

    opinions = [
        leaning(1.0, 0.9, "level planes"),
        leaning(1.0, 0.9, "level planes"),
        leaning(8.0, 1.4, "upright people"),
    ]
    said = gravity.told_by(opinions)
    source = r"%s (\d+) %% \((.*)° off\)"
    named = re.fullmatch(", ".join(source % n for n in ("the first frame", "level planes", "upright people")), said)
    assert named is not None, said
    first, first_off, planes, planes_off, people, people_off = map(float, named.groups())
    assert planes > first > people and first + planes + people == pytest.approx(100.0, abs=1.5)
    assert people_off - planes_off == pytest.approx(7.0 - 2 * planes_off, abs=0.11) and first_off < 1.5
    assert gravity.told_by([]) == "the first frame 100 % (0.0° off)"
