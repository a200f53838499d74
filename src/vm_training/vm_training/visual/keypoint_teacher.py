"""The tracker's teacher of reinforcement learning: it sees two seconds of what is to come and what its feet bear."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from tensordict import TensorDict

from vm_core import keypoint_command as kc
from vm_core.frames import heading_quat
from vm_training.mdp.rewards import TrackingWeights
from vm_training.rl.clip_library import ClipLibrary, SceneClip
from vm_training.rl.env_config import EnvConfig
from vm_training.rl.task import PpoConfig, Task
from vm_training.rl.tracking_env import TrackingConfig, TrackingEnv
from vm_training.rl.trainer import Trainer
from vm_training.tasks.motion_pretraining import contract_of, run
from vm_training.visual.mirrored import COMMAND_ORDER, COMMAND_SIGN
from vm_training.visual.motion_library import make_library

NAME = "keypoint_teacher"
WINDOW_STEPS = (1, *range(5, 100, 5))
"""Control steps ahead at which the motion is shown: 20 in two seconds."""
_BEARING_N = 300.0


@dataclass(frozen=True)
class KeypointTeacherConfig:
    """Everything that decides a teacher.

    Attributes:
        motions: folder of planned motions; what is missing is planned.
        count: how many.
        env: how robots are simulated, varied and seen.
        tracking: what they are asked for.
        ppo: the learner.
    """

    motions: Path
    count: int = 80
    env: EnvConfig = field(default_factory=EnvConfig)
    tracking: TrackingConfig = field(default_factory=lambda: TrackingConfig(weights=TrackingWeights(action_rate=-2.0)))
    ppo: PpoConfig = field(default_factory=lambda: PpoConfig(learning_rate=1e-3))


class KeypointTeacherEnv(TrackingEnv):
    """Robots on motions that see keypoint commands of the next two seconds, and contact forces."""

    def __init__(
        self, clips: list[SceneClip], library: ClipLibrary, config: EnvConfig, task: TrackingConfig, seed: int
    ) -> None:
        qpos = library.qpos
        self._points = kc.keypoints_of_joints(qpos[:, :3], qpos[:, 3:7], qpos[:, 7:])
        self._steps = torch.tensor(WINDOW_STEPS)
        self._order = torch.as_tensor(COMMAND_ORDER)
        self._sign = torch.as_tensor(COMMAND_SIGN, dtype=torch.float32)
        super().__init__(clips, library, config, task, grid=False, seed=seed)

    def observe(self) -> TensorDict:
        """The actor of this stage is privileged too."""
        seen = super().observe()
        more = torch.cat([self._window(), self._bearing()], dim=1).nan_to_num(0.0)
        both = {name: torch.cat([seen[name], more], dim=1) for name in ("actor", "critic")}
        return TensorDict(both, batch_size=[self.num_envs])

    def _window(self) -> torch.Tensor:
        """(N, 20 * 18): commands towards the motion at WINDOW_STEPS, in the axes of the heading [dm]."""
        library, qpos = self.library, self.sim.qpos
        frames = torch.minimum(self.frame[:, None] + self._steps, library.length[self.clip, None] - 1)
        at = library.first[self.clip, None] + frames
        points = kc.keypoints_of_joints(qpos[:, :3], qpos[:, 3:7], qpos[:, 7:])
        count = len(WINDOW_STEPS)
        command = kc.keypoint_command(
            library.qpos[at][..., :3],
            self._points[at],
            qpos[:, None, :3].expand(-1, count, -1),
            points[:, None].expand(-1, count, -1, -1),
            heading_quat(qpos[:, 3:7])[:, None].expand(-1, count, -1),
        )
        if self.config.mirror:
            command = torch.where(self.mirrored[:, None, None], command[..., self._order] * self._sign, command)
        return 10.0 * command.flatten(1)

    def _bearing(self) -> torch.Tensor:
        force = self.sim.foot_force / _BEARING_N
        return torch.where(self.mirrored[:, None], force.flip(1), force) if self.config.mirror else force


def train_keypoint_teacher(config: KeypointTeacherConfig, out: Path, resume: bool) -> Trainer:
    """All iterations that are not done yet."""
    motions = make_library(config.motions, config.count, config.ppo.seed)
    clips = [SceneClip(motion.clip.source, motion.clip, motion.scene) for motion in motions]
    library = ClipLibrary(clips)

    def load(state: dict[str, torch.Tensor]) -> None:
        library.tries, library.fails = state["tries"].clone(), state["fails"].clone()

    task = Task(
        NAME,
        lambda seed: KeypointTeacherEnv(clips, library, config.env, config.tracking, seed),
        contract_of(NAME, False, 0.02),
        state=lambda: {"tries": library.tries.clone(), "fails": library.fails.clone()},
        load_state=load,
    )
    return run(task, config, config.ppo, out, resume)
