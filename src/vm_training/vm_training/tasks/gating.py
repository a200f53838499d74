"""Walkers of different places become one: robots walk and sit by it, and a gate learns whose place they are in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import torch
from torch import nn

from vm_training.gated_student import GatedStudent
from vm_training.mdp.clip_tracking import NUM_JOINTS
from vm_training.mdp.lane import Lane, LaneConfig, make_lane
from vm_training.mdp.walk_observations import observation_size
from vm_training.progress import Progress
from vm_training.tasks.classroom import REST_FRAMES, act, start_frames
from vm_training.tasks.gate_places import Place
from vm_training.tasks.lessons import Lessons, Rollout, rollout
from vm_training.tasks.motion_folder import Motion
from vm_training.tasks.school import half_mirroring
from vm_training.tasks.walk_config import WalkConfig
from vm_training.tasks.whose_place import Ownership
from vm_training.tasks.work_folder import WorkFolder

GATE_FILE, RECORDS_FILE = "gate.npz", "gate.json"


@dataclass(frozen=True)
class GatingConfig:
    """Everything that decides a gate.

    Attributes:
        rounds: of acting and learning.
        passes: over all lessons, after each round.
        learning_rate: of the gate.
        told: share of robots that are driven by the walker whose place it is, whatever the gate says.
        walk: how robots are let go: motions a round, steps, noise, pushes, lane, seed.
    """

    rounds: int = 12
    passes: float = 1.0
    learning_rate: float = 1e-3
    told: float = 0.3
    walk: WalkConfig = field(
        default_factory=lambda: WalkConfig(
            motions_a_round=24, steps=60, longest_rollout=1200, lessons=1_500_000, lane=LaneConfig(40, exact_grids=0.5)
        )
    )


def train_gate(
    gated: GatedStudent,
    places: Sequence[Place],
    motions: dict[str, Motion],
    default: np.ndarray,
    config: GatingConfig,
    folder: WorkFolder,
) -> list[dict[str, float]]:
    """Teaches the gate; the walkers stay as they are. A resumed run goes on with the gate of its last round.

    Raises:
        VmError: a motion that is nobody's, or no walker for flat ground.
    """
    folder.begin({"config": asdict(config), "places": [[str(p.policy), p.kinds] for p in places]})
    torch.manual_seed(config.walk.seed)
    school = GateSchool(gated, places, motions, default, config)
    records: list[dict[str, float]] = []
    if (folder / GATE_FILE).is_file():
        saved = folder.read_arrays(GATE_FILE)
        gated.gate.load_state_dict({name: torch.from_numpy(value) for name, value in saved.items()})
        records = folder.read_json(RECORDS_FILE)
    with Progress("gate", config.rounds, len(records)) as bar:
        for index in range(len(records), config.rounds):
            records.append(school.round(index))
            folder.write_arrays(GATE_FILE, {name: value.numpy() for name, value in gated.gate.state_dict().items()})
            folder.write_json(RECORDS_FILE, records)
            bar.round_done(right=f"{records[-1]['right']:.1%}", s_a_fall=f"{records[-1]['seconds_a_fall']:.1f}")
    return records


class GateSchool:
    """Robots on all motions, and what was seen there with whose place it was."""

    def __init__(
        self,
        gated: GatedStudent,
        places: Sequence[Place],
        motions: dict[str, Motion],
        default: np.ndarray,
        config: GatingConfig,
    ) -> None:
        self.gated, self._motions, self._default, self.config = gated, motions, default, config
        self._whose = Ownership(places, {motion.kind for motion in motions.values()})
        self._lessons = Lessons.room_for(config.walk.lessons, observation_size(config.walk.lane.grid), 1)
        self._half_mirrored = half_mirroring(config.walk.lane.grid)
        self._optimizer = torch.optim.Adam(gated.gate.parameters(), lr=config.learning_rate)
        self._lanes: dict[str, tuple[Lane, np.ndarray]] = {}

    def round(self, index: int) -> dict[str, float]:
        """Robots act on some motions, then the gate learns; how often it is right, and how long they stay up."""
        walk, rng = self.config.walk, np.random.default_rng([self.config.walk.seed, index])
        kinds = [motion.kind for motion in self._motions.values()]
        shares = np.array([1.0 / kinds.count(kind) for kind in kinds])
        count = min(walk.motions_a_round, len(kinds))
        picked = rng.choice(list(self._motions), count, replace=False, p=shares / shares.sum())
        before, falls = self._lessons.written, sum(self._gather(name, index) for name in picked)
        told = self._lessons.written - before
        right = self._learn(rng)
        return {"steps": self._lessons.written, "right": right, "seconds_a_fall": told / 50.0 / max(falls, 1)}

    def _gather(self, name: str, index: int) -> int:
        walk = self.config.walk
        lane, age = self._lane(name)
        env, told = lane.env, np.arange(lane.env.num_envs) < self.config.told * lane.env.num_envs
        told = np.ones_like(told) if index == 0 else told

        def drive(seen: np.ndarray, wanted: np.ndarray) -> np.ndarray:
            whose, found = self._whose(lane, seen), act(self.gated, seen, self._default)
            shares = torch.nn.functional.one_hot(torch.from_numpy(whose[told]).long(), self.gated.gated).float()
            found[told] = act(lambda shown: self.gated.mixed(shown, shares), seen[told], self._default)
            return found

        how = Rollout(
            steps=walk.steps,
            last_frame=env.clip.num_frames + REST_FRAMES,
            starts=lambda count: start_frames(env, count, walk),
            judged=False,
            drive=drive,
            tell=lambda seen, wanted: self._lessons.add(seen, self._whose(lane, seen)[:, None].astype(np.float32)),
        )
        return int(rollout(lane, age, walk, how).sum())

    def _lane(self, name: str) -> tuple[Lane, np.ndarray]:
        if name not in self._lanes:
            seed = self.config.walk.seed + 1000 * (1 + list(self._motions).index(name))
            lane = make_lane(self._motions[name], None, self._default, self.config.walk.lane, seed)
            count = lane.env.num_envs
            lane.reset(np.arange(count), start_frames(lane.env, count, self.config.walk))
            self._lanes[name] = lane, lane.env.rng.integers(0, self.config.walk.longest_rollout, count)
        return self._lanes[name]

    def _learn(self, rng: np.random.Generator) -> float:
        """Gradient steps on all lessons; share of the last batches' that the gate gives to the right walker."""
        config, lessons, right = self.config, self._lessons, []
        steps = max(round(config.passes * lessons.count / config.walk.batch), 1)
        for _ in range(steps):
            at = rng.integers(0, lessons.count, config.walk.batch)
            seen, _ = self._half_mirrored(lessons.observation[at].astype(np.float32), np.zeros((len(at), NUM_JOINTS)))
            whose = torch.from_numpy(lessons.action[at, 0]).long()
            logits = self.gated.logits(torch.from_numpy(seen))
            loss = nn.functional.cross_entropy(logits, whose)
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self._optimizer.step()
            right.append(float((logits.argmax(dim=1) == whose).float().mean()))
        return float(np.mean(right[-(steps // 3 + 1) :]))
