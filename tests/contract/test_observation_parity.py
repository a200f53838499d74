"""The observation builder gives the same on numpy (robot) and torch (training), batched or not."""

import numpy as np
import pytest
import torch

from vm_core.errors import VmError
from vm_core.frames import quat_from_rotvec
from vm_core.observation import ObservationHistory, build_terms
from vm_core.observation_terms import TERMS, ObservationInputs, ReferenceFrame
from vm_core.policy_contract import HISTORY_LAYOUTS, ObservationTerm

J, CELLS, ENVS = 23, 121, 7
SIZES = {
    **dict.fromkeys(("joint_pos_rel", "joint_vel_rel", "last_action"), J),
    **dict.fromkeys(("ref_joint_pos_rel", "ref_joint_pos_error", "ref_joint_vel"), J),
    "height_grid": CELLS,
    "gait_phase": 2,
    "ref_phase": 1,
    "joint_pos": J,
    "leg_velocity": 2,
    "ref_joint_state": 2 * J,
    "ref_anchor_ori": 6,
    "linear_velocity_commands": 2,
    "yaw_rate_command": 1,
    **dict.fromkeys(("foot_phase_sin", "foot_phase_cos", "cycle_phase", "task_heading"), 2),
    **dict.fromkeys(("keypoint_command", "last_keypoint_command"), 18),
    "run": 1,
    "gait_pace": 1,
    "memory": 2,
}


def random_inputs(seed: int, convert) -> ObservationInputs:
    rng = np.random.default_rng(seed)

    def quat() -> np.ndarray:
        return quat_from_rotvec(rng.normal(size=(ENVS, 3)))

    def draw(*shape: int):
        return convert(rng.normal(size=(ENVS, *shape)))

    reference = ReferenceFrame(
        draw(J), draw(J), draw(3), convert(quat()), draw(3), draw(), draw(J), draw(3), convert(quat())
    )
    return ObservationInputs(
        draw(J),
        draw(J),
        convert(rng.normal(size=J)),
        convert(quat()),
        draw(3),
        draw(J),
        draw(3),
        draw(3),
        draw(3),
        draw(CELLS),
        reference,
        draw(2),
        draw(2),
        draw(),
        draw(3),
        convert(quat()),
        draw(18),
        draw(18),
        draw(),
        draw(),
        draw(2),
        draw(1),
    )


def all_terms() -> list[ObservationTerm]:
    return [ObservationTerm(n, SIZES.get(n, 3), scale=(0.5,), clip=(-1.0, 1.0), history_length=3) for n in TERMS]


@pytest.mark.parametrize("layout", HISTORY_LAYOUTS)
def test_numpy_and_torch_agree(layout):
    terms = all_terms()
    histories = [ObservationHistory(terms, layout) for _ in range(2)]
    for step in range(4):
        ours = histories[0].push(build_terms(terms, random_inputs(step, np.asarray)))
        theirs = histories[1].push(build_terms(terms, random_inputs(step, torch.from_numpy)))
        np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-12)
        assert ours.shape == (ENVS, sum(t.size * t.history_length for t in terms))


def test_history_layouts():
    terms = [ObservationTerm("a", 1, history_length=2), ObservationTerm("b", 1, history_length=3)]
    expected = {
        "term_major_oldest_first": [1, 2, 10, 11, 12],
        "term_major_newest_first": [2, 1, 12, 11, 10],
        "frame_major_oldest_first": [10, 1, 11, 2, 12],
        "frame_major_newest_first": [2, 12, 1, 11, 10],
    }
    assert set(expected) == set(HISTORY_LAYOUTS)
    for layout, wanted in expected.items():
        history = ObservationHistory(terms, layout)
        built = [history.push({"a": np.array([step]), "b": np.array([10 + step])}) for step in range(3)]
        assert built[2].tolist() == wanted, layout
        assert sorted(built[0].tolist()) == [0, 0, 10, 10, 10]  # the first reading is repeated


def test_gravity_points_down_when_upright():
    inputs = random_inputs(0, np.asarray)
    inputs.root_quat_wxyz = np.tile([1.0, 0.0, 0.0, 0.0], (ENVS, 1))
    built = build_terms([ObservationTerm("projected_gravity", 3)], inputs)
    np.testing.assert_allclose(built["projected_gravity"], np.tile([0.0, 0.0, -1.0], (ENVS, 1)))


def test_missing_inputs_are_named():
    inputs = random_inputs(0, np.asarray)
    inputs.height_grid = None
    with pytest.raises(VmError, match="height grid"):
        build_terms([ObservationTerm("height_grid", CELLS)], inputs)
    with pytest.raises(VmError, match="unknown observation term 'smell'"):
        build_terms([ObservationTerm("smell", 1)], inputs)
