"""Walkers in one network: what the gate gives to whom, what each is shown, and who cannot be joined."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vm_core.errors import VmError
from vm_core.scene_asset import SceneAsset, SceneBox
from vm_training.export import export_policy, walking_contract
from vm_training.gated_student import GatedStudent
from vm_training.make_motions import MakeMotions, make_motions
from vm_training.mdp.lane import LaneConfig
from vm_training.mdp.observations import DEFAULT_JOINT_POS
from vm_training.mdp.walk_observations import GRID
from vm_training.motions.courses import WALKING_GAIT
from vm_training.policy_file import PolicyFile
from vm_training.student import Student
from vm_training.tasks.gate_places import Place, read_walkers
from vm_training.tasks.gating import GATE_FILE, GateSchool, GatingConfig, train_gate
from vm_training.tasks.motion_folder import Motion, load_motion
from vm_training.tasks.walk_config import WalkConfig
from vm_training.tasks.whose_place import Ownership, highest_rise_in_view
from vm_training.tasks.work_folder import WorkFolder

WALKS = ("flat", "kerb")
CONFIG = GatingConfig(
    rounds=2,
    passes=6.0,
    walk=WalkConfig(motions_a_round=2, steps=40, batch=64, lessons=4000, lane=LaneConfig(8, threads=1)),
)


def write(path: Path, seed: int, skills: tuple[str, ...] = (), grid_from: float | None = None) -> Path:
    torch.manual_seed(seed)
    contract = walking_contract(path.stem, np.asarray(DEFAULT_JOINT_POS), 0.65, {"skills": list(skills)})
    if grid_from is not None:
        last = contract.observation[-1]
        contract = replace(contract, observation=(*contract.observation[:-1], replace(last, clip=(grid_from, 1.3))))
    network = Student(contract.observation_size, 23, (16, 8))
    torch.nn.init.normal_(network.layers[-1].weight, 0.0, 0.2)  # type: ignore[arg-type]
    export_policy(network, contract, np.ones(contract.observation_size), path)
    return path


@pytest.fixture
def walkers(tmp_path: Path) -> tuple[Path, Path]:
    return write(tmp_path / "walks.onnx", 0, grid_from=0.3), write(tmp_path / "sits.onnx", 1, ("sit",))


def places(walkers: tuple[Path, Path]) -> list[Place]:
    return [Place(walkers[0], WALKS), Place(walkers[1], ("sit",))]


def only(gated: GatedStudent, walker: int) -> GatedStudent:
    """The gate wide open for one."""
    last = gated.gate[-1]
    assert isinstance(last, torch.nn.Linear)
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.eye(2)[walker] * 1e3)
    return gated


def test_behind_the_gate_each_walker_is_what_it_was(walkers):
    """Each is shown what its own contract would have shown it; the joint contract shows and allows what any may see."""
    gated, contract = read_walkers(places(walkers))
    assert contract.training["skills"] == ["sit"] and contract.observation[-1].clip == (0.0, 1.3)
    assert contract.command_limits[0][0] == pytest.approx(-0.2)
    seen = torch.randn(5, contract.observation_size)
    seen[:, -GRID.num_cells :] = seen[:, -GRID.num_cells :].abs()
    cut = seen.clone()
    cut[:, -GRID.num_cells :] = cut[:, -GRID.num_cells :].clamp(min=0.6)
    assert (cut != seen).any()
    for walker, shown in ((0, cut), (1, seen)):
        expected = PolicyFile.load(walkers[walker]).act(shown.numpy())
        np.testing.assert_allclose(only(gated, walker)(seen).detach(), expected, atol=1e-5)


def test_joined_walkers_are_one_policy_file(walkers, tmp_path):
    gated, contract = read_walkers(places(walkers))
    torch.nn.init.normal_(gated.gate[-1].weight)  # type: ignore[arg-type]
    seen = torch.randn(4, contract.observation_size)
    export_policy(gated, replace(contract, name="one", golden=None), seen[0].numpy(), tmp_path / "one.onnx")
    np.testing.assert_allclose(
        PolicyFile.load(tmp_path / "one.onnx").act(seen.numpy()), gated(seen).detach(), atol=1e-5
    )


@pytest.fixture(scope="module")
def motions(tmp_path_factory) -> dict[str, Motion]:
    folder = tmp_path_factory.mktemp("gate")
    gait = replace(WALKING_GAIT, stand_s=0.6, drop_roll_s=0.3)
    make_motions(MakeMotions(folder, count=1, kinds=("flat", "sit"), gait=gait))
    return {name: load_motion(folder, name) for name in ("flat_0000", "sit_0000")}


def test_the_gate_learns_whose_place_it_is(walkers, motions, tmp_path):
    """A seat in view, or a command backwards, is the one's who sits; a second start has nothing left to do."""
    gated, contract = read_walkers(places(walkers))
    default, folder = np.array(contract.default_joint_pos), WorkFolder(tmp_path / "work")
    records = train_gate(gated, places(walkers), motions, default, CONFIG, folder)
    assert records[-1]["right"] > 0.95
    again, _ = read_walkers(places(walkers))
    assert train_gate(again, places(walkers), motions, default, CONFIG, folder) == records
    for one, other in zip(gated.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one, other)
    assert (folder / GATE_FILE).is_file()


def test_a_seat_counts_as_long_as_it_is_in_view(walkers, motions):
    gated, contract = read_walkers(places(walkers))
    school = GateSchool(gated, places(walkers), motions, np.array(contract.default_joint_pos), CONFIG)
    lane, _ = school._lane("sit_0000")
    seen = np.zeros((8, contract.observation_size), dtype=np.float32)
    (box,) = lane.motion.scene.boxes
    edge = box.center_world[0] + box.half_size[0]
    lane.env.physics.qpos[:4, :2], lane.env.physics.qpos[4:, :2] = (edge + 0.3, 0.0), (edge + 0.8, 0.0)
    assert school._whose(lane, seen).tolist() == [1] * 4 + [0] * 4
    start = sum(t.size * t.history_length for t in contract.observation[:2])
    seen[7, start] = -0.15 * 2.0  # told to sit, scaled as it is shown
    assert school._whose(lane, seen).tolist() == [1] * 4 + [0] * 3 + [1]


def test_who_cannot_be_joined_is_told_why(walkers, motions, tmp_path):
    gated, contract = read_walkers(places(walkers))
    with pytest.raises(VmError, match="expected at least two"):
        read_walkers(places(walkers)[:1])
    nobody = [Place(walkers[0], ("flat",)), Place(walkers[1], ("kerb",))]
    with pytest.raises(VmError, match="motions of sit belong to no walker"):
        train_gate(gated, nobody, motions, np.array(contract.default_joint_pos), CONFIG, WorkFolder(tmp_path / "w"))
    seats = [Place(walkers[0], ("kerb",)), Place(walkers[1], ("sit",))]
    with pytest.raises(VmError, match="no walker has the kind flat"):
        train_gate(gated, seats, motions, np.array(contract.default_joint_pos), CONFIG, WorkFolder(tmp_path / "s"))


@given(rise=st.floats(0.04, 0.2), yaw=st.floats(-3.1, 3.1), ahead=st.floats(0.1, 1.2))
def test_high_stairs_count_as_long_as_an_edge_is_in_view(rise, yaw, ahead):
    """Whichever way the robot faces: the grid reaches half a metre, in its corners 0.7."""
    step = SceneBox((ahead + 1.0, 0.0, 0.5 * rise), (1.0, 3.0, 0.5 * rise), label="step")
    pelvis = np.array([[0.0, 0.0, 0.7, np.cos(0.5 * yaw), 0.0, 0.0, np.sin(0.5 * yaw)]])
    (found,) = highest_rise_in_view(SceneAsset(boxes=(step,), source="test"), pelvis)
    if ahead < 0.49:
        assert found == pytest.approx(rise)
    if ahead > 0.71:
        assert found == 0.0


def test_whoever_has_high_stairs_has_them_in_every_motion(walkers, motions):
    """Also where a motion of another kind shows some; their flat ground is the first walker's."""
    climbs = Place(walkers[0], ("steep_up",))
    whose = Ownership([*places(walkers), climbs], {"flat", "sit"})
    gated, contract = read_walkers(places(walkers))
    school = GateSchool(gated, places(walkers), motions, np.array(contract.default_joint_pos), CONFIG)
    lane, _ = school._lane("flat_0000")
    seen = np.zeros((8, contract.observation_size), dtype=np.float32)
    step = SceneBox((5.0, 0.0, 0.08), (1.0, 3.0, 0.08), label="step")
    lane.env.physics.qpos[:, :7] = [0.0, 0.0, 0.7, 1.0, 0.0, 0.0, 0.0]
    lane.env.physics.qpos[:3, 0] = 3.8
    stepped = replace(lane, motion=replace(lane.motion, scene=SceneAsset(boxes=(step,), source="test")))
    assert whose(stepped, seen).tolist() == [2] * 3 + [0] * 5
    assert whose(replace(stepped, motion=replace(stepped.motion, kind="steep_up")), seen).tolist() == [2] * 3 + [0] * 5
