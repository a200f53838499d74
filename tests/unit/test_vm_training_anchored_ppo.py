"""The learner of fine-tuning stays near its first policy, warms up its critic, and goes where robots fall."""

import copy

import pytest
import torch
from tensordict import TensorDict

from vm_core.errors import VmError
from vm_core.height_grid import HeightGridSpec
from vm_core.scene_asset import SceneAsset, SceneBox
from vm_training.mdp.commands import CommandRanges, Commands
from vm_training.mdp.grid_errors import GridErrors, GridErrorScales
from vm_training.mdp.terrain_raster import TerrainRaster
from vm_training.rl.anchored_ppo import AnchoredPpo
from vm_training.rl.learner_parts import LearnerParts
from vm_training.rl.mapped_heights import MappedHeights
from vm_training.rl.random_courses import TERRAINS
from vm_training.rl.task import AnchorConfig, PpoConfig
from vm_training.rl.terrain_share import TerrainShare

ROBOTS, STEPS, INPUTS, ACTIONS = 16, 8, 6, 3


def _learner(strength: float, warm_up: int = 0) -> AnchoredPpo:
    torch.manual_seed(0)
    config = PpoConfig(steps=STEPS, epochs=4, mini_batches=2, learning_rate=3e-3, desired_kl=0.0, hidden=(8,))
    parts = LearnerParts(config, _seen(), ACTIONS, 0, AnchorConfig(strength, 2.0, warm_up, critic_hidden=(8,)))
    learner = parts.ppo(parts.storage(), None)
    assert isinstance(learner, AnchoredPpo)
    return learner


def _seen() -> TensorDict:
    seen = torch.randn(ROBOTS, INPUTS)
    return TensorDict(
        {"actor": seen, "critic": seen, "start": torch.zeros(ROBOTS, ACTIONS), "anchor": torch.ones(ROBOTS, 1)},
        batch_size=[ROBOTS],
    )


def _learn(learner: AnchoredPpo) -> dict[str, float]:
    """From a batch in which the first action is the better the larger it is."""
    storage = learner.storage
    with torch.no_grad():
        for _ in range(STEPS):
            step, seen = storage.Transition(), _seen()
            step.actions = learner.actor(seen, stochastic_output=True)
            step.actions_log_prob = learner.actor.get_output_log_prob(step.actions)
            step.distribution_params = learner.actor.output_distribution_params
            step.values, step.observations = learner.critic(seen), seen
            step.rewards, step.dones = step.actions[:, 0], torch.zeros(ROBOTS)
            storage.add_transition(step)
    advantage = storage.actions[..., :1]
    storage.advantages = (advantage - advantage.mean()) / advantage.std()
    storage.returns = storage.rewards.clone()
    return learner.update()


def test_an_anchored_policy_moves_less_and_the_anchor_fades():
    free, held = _learner(0.0), _learner(5.0)
    for _ in range(6):
        moved, kept = _learn(free), _learn(held)
    assert moved["drift"] > 4.0 * kept["drift"] > 0.0
    assert held.anchor == pytest.approx(5.0 * 0.5**3)


def test_only_the_critic_learns_at_first():
    learner = _learner(0.0, warm_up=2)
    actor, critic = copy.deepcopy(learner.actor.state_dict()), copy.deepcopy(learner.critic.state_dict())
    losses = _learn(learner)
    assert "surrogate" not in losses and learner.anchor == 0.0
    assert all(torch.equal(value, actor[name]) for name, value in learner.actor.state_dict().items())
    assert any(not torch.equal(value, critic[name]) for name, value in learner.critic.state_dict().items())
    _learn(learner)
    _learn(learner)
    assert any(not torch.equal(value, actor[name]) for name, value in learner.actor.state_dict().items())
    again = _learner(0.0, warm_up=2)
    again.load(learner.save(), None, strict=True)
    assert again.batches == 3
    with pytest.raises(VmError, match="nothing negative"):
        AnchorConfig(strength=-1.0)


def test_robots_go_where_they_fall():
    share = TerrainShare()
    assert share.kinds(len(TERRAINS)) == list(range(len(TERRAINS)))
    kind_of = torch.arange(len(TERRAINS)).repeat(10)
    slope = TERRAINS.index("slope")
    for step in range(400):
        share.note(kind_of, (kind_of == slope) & (step % 20 == 0), 0.1)
    share.fade()
    kinds = share.kinds(70)
    assert len(kinds) == 70 and kinds.count(slope) > 20 and min(kinds.count(k) for k in range(len(TERRAINS))) >= 5
    other = TerrainShare()
    other.load_state(share.state())
    assert other.kinds(70) == kinds


def test_robots_are_only_where_they_are_wanted():
    share, wanted = TerrainShare(("kerbs", "rough")), [TERRAINS.index(kind) for kind in ("kerbs", "rough")]
    assert share.kinds(5).count(wanted[0]) in (2, 3) and set(share.kinds(5)) == set(wanted)
    kind_of = torch.tensor(wanted).repeat(10)
    for step in range(400):
        share.note(kind_of, (kind_of == wanted[0]) & (step % 20 == 0), 0.1)
    kinds = share.kinds(70)
    assert len(kinds) == 70 and set(kinds) == set(wanted) and kinds.count(wanted[0]) > 45


def test_some_robots_see_the_ground_as_it_is():
    grid, count = HeightGridSpec(), 400
    scene = SceneAsset(boxes=(SceneBox((0.5, 0.0, 0.05), (0.45, 2.0, 0.05)),))
    generator, robots = torch.Generator().manual_seed(0), torch.zeros(count, dtype=torch.int64)
    errors = GridErrors(count, grid, GridErrorScales.measured(), generator, 0.02)
    heights = MappedHeights(grid, errors, TerrainRaster([scene]), robots, 0.85, exact=0.5)
    heights.reset(torch.arange(count))
    torso = torch.tensor([[0.0, 0.0, 0.8]]).repeat(count, 1)
    seen = heights.read(torso, torch.zeros(count), torch.full((count,), 0.3)).reshape(count, 11, 11)
    same = (seen == seen[:, :, :1]).all(dim=(1, 2)) & (seen.min() < 0.75)
    assert 0.4 < same.float().mean() < 0.6


def test_an_operator_steers_back_and_waits_at_the_start():
    ranges = CommandRanges(stand_s=(0.4, 0.6), zero=0.0, hold_s=(9.0, 9.0))
    commands = Commands(100, ranges, torch.Generator().manual_seed(0), 0.02)
    commands.steered[:] = True
    commands.reset(torch.arange(100), torch.zeros(100))
    aside, seen = torch.full((100,), 0.3), []
    for _ in range(100):
        seen.append(commands.update(torch.zeros(100), aside).clone())
    assert torch.stack(seen[:19]).abs().max() == 0.0
    assert (seen[-1][:, 0] > 0.1).all() and (seen[-1][:, 2] < -0.1).all()
