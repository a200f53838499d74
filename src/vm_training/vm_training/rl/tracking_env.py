"""Robots that follow clips: motion pretraining on level ground, tracking on reconstructed scenes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from vm_core import g1
from vm_core.errors import VmError
from vm_core.frames import heading_quat, quat_conjugate, quat_from_rotvec, quat_multiply, quat_rotate
from vm_core.height_grid import HeightGridSpec
from vm_core.observation_terms import ObservationInputs, ReferenceFrame
from vm_core.policy_contract import ObservationTerm, PolicyContract
from vm_training.mdp import rewards, terminations
from vm_training.mdp.observations import DEFAULT_JOINT_POS
from vm_training.rl.clip_library import ClipLibrary, SceneClip
from vm_training.rl.env_config import EnvConfig
from vm_training.rl.robot_env import RobotEnv
from vm_training.rl.simulation import BODIES, PELVIS, TORSO

HISTORY = 3
_J = len(g1.POLICY_JOINT_NAMES)
TRACKING_TERMS = (
    ObservationTerm("base_ang_vel", 3, (0.25,), history_length=HISTORY),
    ObservationTerm("projected_gravity", 3, (1.0,), history_length=HISTORY),
    ObservationTerm("joint_pos_rel", _J, (1.0,), history_length=HISTORY),
    ObservationTerm("joint_vel_rel", _J, (0.05,), (-50.0, 50.0), history_length=HISTORY),
    ObservationTerm("last_action", _J, (1.0,), history_length=HISTORY),
    ObservationTerm("ref_root_pos_error", 3, (4.0,), (-0.6, 0.6)),
    ObservationTerm("ref_root_ori_error", 3, (2.0,), (-1.0, 1.0)),
    ObservationTerm("ref_root_lin_vel_error", 3, (1.0,), (-2.0, 2.0)),
    ObservationTerm("ref_joint_pos_rel", _J, (1.0,)),
    ObservationTerm("ref_joint_vel", _J, (0.05,)),
)
GRID = HeightGridSpec()
GRID_TERM = ObservationTerm("height_grid", GRID.num_cells, (2.0,), (0.3, 1.3))
ACTION_SCALE_RAD, ACTION_CLIP = 0.25, 8.0
_OTHER_SIDE = [
    BODIES.index(name.replace("left_", "#").replace("right_", "left_").replace("#", "right_")) for name in BODIES
]
_LINKS = [i for i in range(len(BODIES)) if i != TORSO]


@dataclass(frozen=True)
class TrackingConfig:
    """What tracking asks for.

    Attributes:
        weights: of the rewards.
        link_error_m: a link farther from its reference ends the episode.
        longest_s: of an episode.
        hold_s: the clip's last frame is held so long.
        start_joint_rad, start_position_m, start_height_m: standard deviations of starts around the clip.
        start_at_beginning: share of episodes that begin with the clip.
    """

    weights: rewards.TrackingWeights = field(default_factory=rewards.TrackingWeights)
    link_error_m: float = 0.5
    longest_s: float = 10.0
    hold_s: float = 1.0
    start_joint_rad: float = 0.02
    start_position_m: float = 0.02
    start_height_m: float = 0.005
    start_at_beginning: float = 0.1

    def __post_init__(self) -> None:
        if min(self.link_error_m, self.longest_s) <= 0.0 or min(self.hold_s, self.start_joint_rad) < 0.0:
            raise VmError(f"{self}: expected positive limits and no negative times or deviations")


class TrackingEnv(RobotEnv):
    """N robots on clips; each robot's scene is that of its clip."""

    def __init__(
        self,
        clips: list[SceneClip],
        library: ClipLibrary,
        config: EnvConfig,
        task: TrackingConfig,
        grid: bool,
        seed: int,
    ) -> None:
        scenes, scene_of_clip = _distinct_scenes(clips)
        rng = np.random.default_rng(seed)
        share = library.clip_weights().numpy()
        clip_of = rng.choice(len(clips), config.num_envs, p=share / share.sum())
        super().__init__(
            config,
            scenes,
            scene_of_clip[clip_of],
            (*TRACKING_TERMS, GRID_TERM) if grid else TRACKING_TERMS,
            control_period_s=1.0 / clips[0].clip.fps,
            default_joint_pos=DEFAULT_JOINT_POS,
            action_scale=ACTION_SCALE_RAD,
            action_clip=ACTION_CLIP,
            grid=GRID if grid else None,
            grid_unknown_m=PolicyContract.height_grid_unknown,
            seed=seed,
        )
        self.library, self.task = library, task
        self.clip = torch.as_tensor(clip_of, dtype=torch.int64)
        self.frame = torch.zeros(self.num_envs, dtype=torch.int64)
        self._hold = round(task.hold_s / self.period_s)
        self._longest = round(task.longest_s / self.period_s)
        self.finished, self.survived = 0, 0

    # -- the clip ------------------------------------------------------------------------------------------------------

    @property
    def at(self) -> torch.Tensor:
        """(N,) each robot's frame in the library; the last of its clip stays."""
        return self.library.first[self.clip] + torch.minimum(self.frame, self.library.length[self.clip] - 1)

    @property
    def _going(self) -> torch.Tensor:
        """(N, 1) 1 while the clip goes on, 0 while its end is held."""
        return (self.frame < self.library.length[self.clip]).float()[:, None]

    def target_base(self) -> torch.Tensor:
        return self.library.target[self.at]

    def start_states(self, envs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        frames, task, count = self.library.draw_frames(self.clip[envs], self.generator), self.task, len(envs)
        share = torch.rand(count, generator=self.generator, device=self.device)
        frames[share < task.start_at_beginning] = 0
        self.frame[envs] = frames
        at = self.at[envs]
        qpos, qvel = self.library.qpos[at].clone(), self.library.qvel[at].clone()
        qpos[:, :2] += task.start_position_m * self.randn(count, 2)
        qpos[:, 2] += task.start_height_m * self.randn(count).abs()
        qpos[:, 3:7] = quat_multiply(qpos[:, 3:7], quat_from_rotvec(0.02 * self.randn(count, 3)))
        qpos[:, 7:] += task.start_joint_rad * self.randn(count, self.num_actions)
        qvel[:, :3] += 0.05 * self.randn(count, 3)
        qvel[:, 6:] += 0.1 * self.randn(count, self.num_actions)
        return qpos, qvel

    def after_physics(self) -> None:
        self.frame += 1
        passed = self.library.leaves_bin(self.frame).nonzero()[:, 0]
        if len(passed):
            none = torch.zeros(len(passed), dtype=torch.bool)
            self.library.note(self.clip[passed], self.frame[passed] - 1, none)

    def before_reset(self, failed: torch.Tensor, over: torch.Tensor) -> None:
        lost = failed.nonzero()[:, 0]
        if len(lost):
            self.library.note(self.clip[lost], self.frame[lost], torch.ones(len(lost), dtype=torch.bool))
        self.finished += int(over.sum())
        self.survived += int((over & ~failed).sum())

    def ends(self) -> tuple[torch.Tensor, torch.Tensor]:
        sim, at = self.sim, self.at
        wanted = self.library.body_pos[at][:, _LINKS]
        far = terminations.off_reference(sim.body_pos[:, _LINKS], wanted, self.task.link_error_m)
        fell = terminations.tilted(sim.qpos[:, 3:7]) | terminations.diverged(sim.qpos, sim.qvel)
        ended = self.frame >= self.library.length[self.clip] + self._hold
        return far | fell, ended | (self.age >= self._longest)

    # -- rewards and sight ---------------------------------------------------------------------------------------------

    def rewards(self, failed: torch.Tensor) -> torch.Tensor:
        sim, at, library, going = self.sim, self.at, self.library, self._going
        wanted_qpos, wanted_qvel = library.qpos[at], library.qvel[at] * going
        body_pos, body_quat = library.body_pos[at], library.body_quat[at]
        contact = self.contact.float()
        squared, angle = rewards.squared, rewards.rotation_angle
        links_fast = squared(sim.body_lin_vel[:, _LINKS] - (library.body_lin_vel[at] * going[:, None])[:, _LINKS])
        terms = {
            "joint_pos": torch.exp(-2.0 * squared(sim.qpos[:, 7:] - wanted_qpos[:, 7:])),
            "joint_vel": torch.exp(-0.01 * squared(sim.qvel[:, 6:] - wanted_qvel[:, 6:])),
            "link_pos": torch.exp(-5.0 * squared((sim.body_pos - body_pos)[:, _LINKS])),
            "link_vel": torch.exp(-0.1 * links_fast),
            "torso_pos": torch.exp(-50.0 * squared((sim.body_pos - body_pos)[:, TORSO])),
            "torso_orientation": torch.exp(-3.0 * angle(sim.body_quat[:, TORSO], body_quat[:, TORSO])),
            "root_orientation": torch.exp(-3.0 * angle(sim.body_quat[:, PELVIS], body_quat[:, PELVIS])),
            "feet_contact": (contact == (library.contact[at] > 0.5).float()).float().sum(1),
            "contact_no_vel": rewards.slip(self.foot_velocity, contact),
            "action_rate": squared(self.action - self.last_action),
            "joint_limits": rewards.beyond_limits(sim.qpos[:, 7:], self.soft_low, self.soft_high),
            "alive": torch.ones(self.num_envs),
            "termination": failed.float() / self.period_s * 0.02,
        }
        return rewards.weighed(self.task.weights, terms, self.period_s) * 0.1

    def task_inputs(self, inputs: ObservationInputs) -> None:
        at, library, going = self.at, self.library, self._going
        qpos, qvel = library.qpos[at], library.qvel[at] * going
        length = (library.length[self.clip] - 1).float()
        inputs.reference = ReferenceFrame(
            joint_pos=qpos[:, 7:],
            joint_vel=qvel[:, 6:],
            root_pos_world=qpos[:, :3],
            root_quat_wxyz=qpos[:, 3:7],
            root_lin_vel_world=qvel[:, :3],
            phase=torch.minimum(self.frame, library.length[self.clip] - 1) / length,
            joint_target=library.target[at],
        )

    def privileged(self) -> torch.Tensor:
        """(N, B * 3 + 2): link errors in the heading frame, contacts that the clip asks for."""
        sim, at = self.sim, self.at
        turn = quat_conjugate(heading_quat(sim.qpos[:, 3:7]))
        error = quat_rotate(turn[:, None].expand(-1, len(BODIES), -1), self.library.body_pos[at] - sim.body_pos)
        contact = self.library.contact[at]
        if self.config.mirror:
            flip = self.mirrored[:, None, None]
            error = torch.where(flip, error[:, _OTHER_SIDE] * error.new_tensor([1.0, -1.0, 1.0]), error)
            contact = torch.where(flip[:, 0], contact.flip(1), contact)
        return torch.cat([4.0 * error.flatten(1), contact], dim=1)

    def take_statistics(self) -> dict[str, float]:
        """Share of episodes since the last call that reached their time's end, and how many ended; starts over."""
        finished, survived = self.finished, self.survived
        self.finished, self.survived = 0, 0
        return {"success": survived / finished if finished else float("nan"), "episodes": float(finished)}


def _distinct_scenes(clips: list[SceneClip]) -> tuple[list, np.ndarray]:
    """Scenes without repetition, and each clip's."""
    keys = [repr((c.scene.boxes, c.scene.ground)) for c in clips]
    unique = list(dict.fromkeys(keys))
    return [clips[keys.index(key)].scene for key in unique], np.array([unique.index(key) for key in keys])
