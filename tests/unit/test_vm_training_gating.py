"""Walkers in one network: what the gate gives to whom, what each is shown, and who cannot be joined."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vm_core.errors import VmError
from vm_training.export import export_policy, walking_contract
from vm_training.gated_student import GatedStudent, GridPlace
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


@given(
    rise=st.floats(0.02, 0.25),
    row=st.integers(1, 10),
    holes=st.integers(0, 5),
    spikes=st.integers(0, 5),
    up=st.booleans(),
)
def test_an_edge_is_what_half_of_the_columns_show(rise, row, holes, spikes, up):
    """Holes in the map hide it in some columns, single wrong cells make others higher: neither counts."""
    place = GridPlace(3, 11, 11, 2.0, 0.85)
    height = np.full((11, 11), 0.5)
    height[row:] += -rise if up else rise
    if holes:
        height[row - 1, :holes] = 0.85
    else:
        height[0, 11 - spikes :] += 0.3
    observation = torch.zeros(2, 3 + 121)
    observation[0, 3:] = torch.from_numpy(2.0 * height.ravel()).float()
    observation[1, 3:] = 1.4
    found = place.highest_edge(observation)
    assert float(found[0]) == pytest.approx(rise, abs=1e-5) and float(found[1]) == 0.0


def test_high_stairs_take_the_first_walkers_share_and_no_other(walkers, tmp_path):
    high = write(tmp_path / "climbs.onnx", 2, grid_from=0.1)
    gated, contract = read_walkers([*places(walkers), Place(high, ("steep_up", "steep_down"))])
    assert gated.gate[-1].out_features == 2
    seen = torch.full((1, contract.observation_size), 0.1)
    seen[:, -GRID.num_cells :] = 1.4
    steps = seen.clone()
    steps[:, -GRID.num_cells :].view(1, GRID.size_x, GRID.size_y)[:, 7:] -= 2.0 * 0.17
    first, second = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])

    def alone(walker: int, shown: torch.Tensor) -> torch.Tensor:
        return gated.walkers[walker](torch.maximum(shown, gated.least[walker]))

    torch.testing.assert_close(gated.mixed(seen, first), alone(0, seen))
    torch.testing.assert_close(gated.mixed(steps, first), alone(2, steps), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(gated.mixed(steps, second), alone(1, steps), atol=1e-4, rtol=1e-4)
    with pytest.raises(VmError, match="must be the last"):
        read_walkers([Place(high, ("steep_up",)), *places(walkers)])
