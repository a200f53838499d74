"""Stage 2, scene-conditioned tracking: the pretrained tracker learns clips on their scenes, with a height map."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from vm_core.errors import VmError
from vm_training.mdp.rewards import TrackingWeights
from vm_training.rl.clip_library import load_clips
from vm_training.rl.env_config import EnvConfig
from vm_training.rl.model import GatedModel, take_without_map
from vm_training.rl.run_folder import RunFolder
from vm_training.rl.task import PpoConfig
from vm_training.rl.tracking_env import GRID, TrackingConfig
from vm_training.rl.trainer import Trainer
from vm_training.tasks import motion_pretraining

NAME = "scene_tracking"


def _tracking() -> TrackingConfig:
    return TrackingConfig(weights=TrackingWeights(action_rate=-1.0, alive=200.0, termination=-2000.0))


@dataclass(frozen=True)
class SceneTrackingConfig:
    """Everything that decides a scene tracking.

    Attributes:
        clips: folders with a clip and its scene, or folders of such folders.
        pretrained: run of motion_pretraining to begin with; none: from scratch.
        env: how robots are simulated, varied and seen.
        tracking: what they are asked for.
        ppo: the learner.
    """

    clips: tuple[Path, ...]
    pretrained: Path | None = None
    env: EnvConfig = field(default_factory=EnvConfig)
    tracking: TrackingConfig = field(default_factory=_tracking)
    ppo: PpoConfig = field(default_factory=lambda: PpoConfig(learning_rate=3e-4))


def train_scene_tracking(config: SceneTrackingConfig, out: Path, resume: bool) -> Trainer:
    """All iterations that are not done yet.

    Raises:
        VmError: no clips, clips that cannot be tracked, a pretraining that is none, or a folder of another run.
    """
    clips = load_clips(config.clips, motion_pretraining.CONTROL_HZ, flat=False)
    task = motion_pretraining.tracking_task(NAME, clips, config.env, config.tracking, grid=True)
    task.grid_cells = GRID.num_cells
    if config.pretrained is not None and not resume:
        state = RunFolder(config.pretrained, motion_pretraining.NAME).load()["ppo"]["actor_state_dict"]

        def start(actor: GatedModel) -> None:
            try:
                take_without_map(actor, {k: v for k, v in state.items() if not k.startswith("distribution")})
            except RuntimeError:
                raise VmError(f"{config.pretrained}: its network has other sizes than this run's") from None

        task.start = start
    return motion_pretraining.run(task, config, config.ppo, out, resume)
