"""Varied robots and places: only what was asked for changes, within its range."""

from dataclasses import replace

import mujoco
import numpy as np
import pytest
import vm_training_cases as cases
from hypothesis import given, settings
from hypothesis import strategies as st

from vm_core import g1
from vm_training.mdp.randomization import DomainRanges, build_model, vary_model

MODEL = build_model(cases.stairs())
NONE = DomainRanges.none()
FIELDS = {
    "friction": {"geom_friction"},
    "payload_kg": {"body_mass"},
    "mass": {"body_mass", "body_inertia"},
    "gain": {"actuator_gainprm", "actuator_biasprm"},
    "box_height_m": {"geom_pos"},
    "delay_s": set(),
}


def arrays(model: mujoco.MjModel) -> dict[str, np.ndarray]:
    names = [name for name in dir(model) if isinstance(getattr(model, name), np.ndarray)]
    return {name: getattr(model, name).copy() for name in names}


def changed(before: dict[str, np.ndarray], model: mujoco.MjModel) -> set[str]:
    return {name for name, value in before.items() if not np.array_equal(value, getattr(model, name), equal_nan=True)}


def soles(model: mujoco.MjModel) -> list[int]:
    return [i for i in range(model.ngeom) if "_sole" in model.geom(i).name]


def test_no_ranges_change_nothing():
    before = arrays(MODEL)
    assert len(before) > 100
    assert changed(before, vary_model(MODEL, NONE, np.random.default_rng(0))) == set()


@pytest.mark.parametrize("name", FIELDS)
def test_a_range_changes_only_what_it_says(name):
    wide = (0.2, 0.3) if name == "friction" else 0.1
    before = arrays(MODEL)
    varied = vary_model(MODEL, replace(NONE, **{name: wide}), np.random.default_rng(0))
    assert changed(before, varied) == FIELDS[name]
    assert changed(before, MODEL) == set()  # the original is nobody's to write on


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_variations_stay_in_their_ranges(seed):
    ranges = DomainRanges()
    varied = vary_model(MODEL, ranges, np.random.default_rng(seed))
    friction = varied.geom_friction[soles(varied), 0]
    assert len(friction) == 8 and np.ptp(friction) == 0.0
    assert ranges.friction[0] <= friction[0] <= ranges.friction[1]
    torso = MODEL.body(g1.TORSO_BODY).id
    others = [i for i in range(1, MODEL.nbody) if i != torso and MODEL.body_mass[i] > 0]
    factor = varied.body_mass[others] / MODEL.body_mass[others]
    assert np.ptp(factor) < 1e-9 and abs(factor[0] - 1.0) <= ranges.mass
    assert abs(varied.body_mass[torso] - factor[0] * MODEL.body_mass[torso]) <= ranges.payload_kg
    # the position gain acts on target and position alike: at target = q a motor is still at rest
    np.testing.assert_allclose(varied.actuator_gainprm[:, 0], -varied.actuator_biasprm[:, 1])
    for parameter, column in (("actuator_gainprm", 0), ("actuator_biasprm", 2)):
        gain = getattr(varied, parameter)[:, column] / getattr(MODEL, parameter)[:, column]
        assert np.abs(gain - 1.0).max() <= ranges.gain and np.ptp(gain) > 0.0  # each motor for itself
    moved = varied.geom_pos - MODEL.geom_pos
    boxes = [i for i in range(MODEL.ngeom) if MODEL.geom(i).name.startswith("scene_")]
    assert len(boxes) == 2 and 0.0 < np.abs(moved[boxes, 2]).max() <= ranges.box_height_m
    assert not np.delete(moved, boxes, axis=0).any() and not moved[:, :2].any()


def test_the_same_seed_is_the_same_robot():
    first, second, other = (vary_model(MODEL, DomainRanges(), np.random.default_rng(s)) for s in (5, 5, 6))
    assert changed(arrays(first), second) == set()
    assert changed(arrays(first), other) >= {"geom_friction", "body_mass", "actuator_gainprm", "geom_pos"}


def test_training_and_checking_models_differ_as_they_say():
    fine = build_model(cases.stairs(), collision="full", timestep_s=0.002)
    assert (MODEL.opt.timestep, fine.opt.timestep) == (0.005, 0.002)
    assert (MODEL.nq, MODEL.nv, MODEL.nu) == (fine.nq, fine.nv, fine.nu) == (30, 29, 23)
    names = [{m.geom(i).name for i in range(m.ngeom) if m.geom_contype[i]} for m in (MODEL, fine)]
    assert names[0] == {"ground", "scene_0", "scene_1"}
    assert names[1] > names[0]
    np.testing.assert_allclose(sum(MODEL.body_mass), sum(fine.body_mass))
