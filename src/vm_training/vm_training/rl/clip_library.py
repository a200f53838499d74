"""Clips to be tracked, checked and laid side by side on one device, with how often each part of them fails."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import mujoco
import numpy as np
import torch

from vm_core import g1
from vm_core.errors import VmError
from vm_core.frames import quat_rotate
from vm_core.motion_clip import MotionClip
from vm_core.scene_asset import BESIDE_CLIP, SceneAsset
from vm_sim.batch_kinematics import BatchKinematics
from vm_training.motions.clip import KD, KP
from vm_training.rl.simulation import BODIES, compile_robot
from vm_training.tasks.motion_folder import CLIP_FILE

SHORTEST_S = 1.0
MOST_BEYOND_LIMIT_RAD = 0.05
MOST_PENETRATION_M = 0.05
BIN_S = 0.5
_DECAY = 0.999
_LEAST, _MOST = 1.0 / 3.0, 3.0
"""Bounds of a bin's share relative to the mean."""


@dataclass(frozen=True)
class SceneClip:
    """A clip in its scene.

    Attributes:
        name: of the clip.
        clip: 23 joints in policy order, at the control rate, with PD targets.
        scene: what it stands on.
    """

    name: str
    clip: MotionClip
    scene: SceneAsset


def load_clips(paths: tuple[Path, ...], rate_hz: float, *, flat: bool) -> list[SceneClip]:
    """Clips from files (.npz, on level ground), folders with a clip and a scene, and folders of such folders.

    Args:
        paths: where.
        rate_hz: of the control.
        flat: leave out what stands on something.

    Raises:
        VmError: nothing there, or a clip that cannot be tracked, with the reason.
    """
    found = [item for path in paths for item in _find(path)]
    clips = [_prepared(name, clip, scene, rate_hz) for name, clip, scene in found]
    kept = [c for c in clips if not flat or not (c.scene.boxes or any(c.scene.ground[:2]))]
    if not kept:
        wanted = "clips on level ground" if flat else "clips"
        raise VmError(f"{', '.join(map(str, paths)) or 'no path given'}: no {wanted}; {len(clips)} clips in all")
    return kept


def _find(path: Path) -> list[tuple[str, MotionClip, SceneAsset]]:
    if path.is_file():
        return [(path.stem, MotionClip.load(path), SceneAsset())]
    if (path / CLIP_FILE).is_file():
        scene = SceneAsset.load(path / BESIDE_CLIP) if (path / BESIDE_CLIP).is_dir() else SceneAsset()
        return [(path.name, MotionClip.load(path / CLIP_FILE), scene)]
    inside = sorted(p.parent for p in path.glob(f"*/{CLIP_FILE}"))
    if not inside:
        raise VmError(f"{path}: no clip; expected a clip (.npz), a folder with {CLIP_FILE}, or a folder of those")
    return [item for folder in inside for item in _find(folder)]


def _prepared(name: str, clip: MotionClip, scene: SceneAsset, rate_hz: float) -> SceneClip:
    clip = with_policy_joints(name, clip).resampled(rate_hz)
    check_clip(name, clip, scene)
    if clip.joint_target is None:  # the target that makes the joint move as it does, without its load
        clip = replace(clip, joint_target=clip.joint_pos + KD * clip.joint_vel / KP)
    return SceneClip(name, clip, scene)


def with_policy_joints(name: str, clip: MotionClip) -> MotionClip:
    """The clip with the policy's 23 joints in their order; wrists are left out.

    Raises:
        VmError: one of them is missing.
    """
    missing = [joint for joint in g1.POLICY_JOINT_NAMES if joint not in clip.joint_names]
    if missing:
        raise VmError(
            f"clip {name!r}: lacks {len(missing)} joints of the G1, such as {missing[0]}; has {len(clip.joint_names)}"
        )
    order = [clip.joint_names.index(joint) for joint in g1.POLICY_JOINT_NAMES]
    target = None if clip.joint_target is None else clip.joint_target[:, order]
    return replace(clip, joint_names=g1.POLICY_JOINT_NAMES, joint_pos=clip.joint_pos[:, order], joint_target=target)


def check_clip(name: str, clip: MotionClip, scene: SceneAsset) -> None:
    """Refuses what no robot can follow.

    Raises:
        VmError: not finite, shorter than a second, beyond joint limits, or with feet inside the scene.
    """
    if not np.isfinite(clip.joint_pos).all() or not np.isfinite(clip.root_pos_world).all():
        raise VmError(f"clip {name!r}: numbers that are not finite")
    if clip.duration_s < SHORTEST_S:
        raise VmError(f"clip {name!r}: {clip.duration_s:.2f} s; expected at least {SHORTEST_S} s")
    motors = [g1.motor_index(joint) for joint in g1.POLICY_JOINT_NAMES]
    beyond = np.maximum(g1.JOINT_LOWER[motors] - clip.joint_pos, clip.joint_pos - g1.JOINT_UPPER[motors])
    frame, joint = np.unravel_index(int(beyond.argmax()), beyond.shape)
    if beyond[frame, joint] > MOST_BEYOND_LIMIT_RAD:
        raise VmError(
            f"clip {name!r}: {g1.POLICY_JOINT_NAMES[joint]} is {beyond[frame, joint]:.2f} rad beyond its range "
            f"in frame {frame}"
        )
    depth, frame = _penetration(clip, scene)
    if depth > MOST_PENETRATION_M:
        raise VmError(f"clip {name!r}: a sole is {100 * depth:.0f} cm inside the scene in frame {frame}")


def _penetration(clip: MotionClip, scene: SceneAsset) -> tuple[float, int]:
    """How deep the deepest sole point lies under the surface [m], and the frame."""
    model = _bare_model()
    feet = BatchKinematics(model, g1.FOOT_BODIES)
    positions, turns, _, _ = feet.compute(*_states(clip))
    worst, frame = 0.0, 0
    for point in g1.SOLE_POINTS:
        at = (positions + quat_rotate(turns, np.broadcast_to(point, positions.shape))).reshape(-1, 3)
        depth = scene.height_at(at[:, :2]) - (at[:, 2] - g1.SOLE_SPHERE_RADIUS_M)
        if depth.max() > worst:
            worst, frame = float(depth.max()), int(depth.argmax()) // 2
    return worst, frame


def _bare_model() -> mujoco.MjModel:
    return compile_robot(SceneAsset(), 0.005)


def _states(clip: MotionClip) -> tuple[np.ndarray, np.ndarray]:
    qpos = np.hstack([clip.root_pos_world, clip.root_quat_wxyz, clip.joint_pos])
    return qpos, np.hstack([clip.root_lin_vel_world, clip.root_ang_vel_body, clip.joint_vel])


class ClipLibrary:
    """K clips, end to end; F frames in all.

    Attributes:
        first, length: (K,) frames.
        qpos (F, 30), qvel (F, 29), target (F, 23), contact (F, 2).
        body_pos, body_quat, body_lin_vel: (F, B, 3 or 4) of BODIES.
        tries, fails: (bins,) how often a half second was begun, and failed in.
    """

    def __init__(self, clips: list[SceneClip], device: torch.device | str = "cpu") -> None:
        self.names = [clip.name for clip in clips]
        lengths = [clip.clip.num_frames for clip in clips]
        self.length = torch.tensor(lengths, device=device)
        self.first = torch.tensor(np.concatenate([[0], np.cumsum(lengths)[:-1]]), device=device)
        states = [_states(clip.clip) for clip in clips]
        qpos, qvel = (np.concatenate([pair[i] for pair in states]) for i in (0, 1))
        parts = BatchKinematics(_bare_model(), BODIES).compute(qpos, qvel)

        def tensor(array: np.ndarray) -> torch.Tensor:
            return torch.tensor(np.ascontiguousarray(array), dtype=torch.float32, device=device)

        self.qpos, self.qvel = tensor(qpos), tensor(qvel)
        self.body_pos, self.body_quat, self.body_lin_vel = (tensor(part) for part in parts[:3])
        self.target = tensor(np.concatenate([np.asarray(clip.clip.joint_target) for clip in clips]))
        self.contact = tensor(np.concatenate([_contacts(clip.clip) for clip in clips]))
        self._bin_frames = max(round(BIN_S * clips[0].clip.fps), 1)
        bins = [-(-n // self._bin_frames) for n in lengths]
        self._first_bin = torch.tensor(np.concatenate([[0], np.cumsum(bins)[:-1]]), device=device)
        self._bins = torch.tensor(bins, device=device)
        self.tries, self.fails = (torch.zeros(sum(bins), device=device) for _ in range(2))

    def draw_frames(self, clip: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Start frames (E,) inside clips (E,), the oftener a half second fails the likelier it is."""
        weight = self._weights()
        frames = torch.zeros_like(clip)
        for k in clip.unique().tolist():
            mine = (clip == k).nonzero()[:, 0]
            span = slice(int(self._first_bin[k]), int(self._first_bin[k] + self._bins[k]))
            picked = torch.multinomial(weight[span], len(mine), replacement=True, generator=generator)
            inside = torch.rand(len(mine), generator=generator, device=clip.device) * self._bin_frames
            frames[mine] = torch.minimum(picked * self._bin_frames + inside.long(), self.length[k] - 2)
        return frames

    def clip_weights(self) -> torch.Tensor:
        """(K,) how often each clip is to be tracked."""
        fails = torch.stack([self._rate(k) for k in range(len(self.names))])
        return _bounded(1.0 / (1.0 - fails + 0.05))

    def note(self, clip: torch.Tensor, frame: torch.Tensor, failed: torch.Tensor) -> None:
        """Takes note of robots (E,) that leave a half second (or fail in it)."""
        at = self._first_bin[clip] + torch.minimum(frame // self._bin_frames, self._bins[clip] - 1)
        self.tries *= _DECAY
        self.fails *= _DECAY
        self.tries.index_add_(0, at, torch.ones_like(at, dtype=torch.float32))
        self.fails.index_add_(0, at, failed.float())

    def leaves_bin(self, frame: torch.Tensor) -> torch.Tensor:
        """(N,) bool: robots whose frame is the first of a half second."""
        return (frame % self._bin_frames == 0) & (frame > 0)

    def _rate(self, k: int) -> torch.Tensor:
        span = slice(int(self._first_bin[k]), int(self._first_bin[k] + self._bins[k]))
        return self.fails[span].sum() / self.tries[span].sum().clamp(min=1.0)

    def _weights(self) -> torch.Tensor:
        return _bounded(1.0 / (1.05 - self.fails / self.tries.clamp(min=1.0)))


def _bounded(factor: torch.Tensor) -> torch.Tensor:
    """VideoMimic's: relative to the mean, neither ignored nor everything."""
    return (factor / factor.mean()).clamp(_LEAST, _MOST)


def _contacts(clip: MotionClip) -> np.ndarray:
    """(T, 2) left and right foot; all bearing where the clip does not say."""
    names = ("left_foot", "right_foot")
    if any(name not in clip.contact_names for name in names):
        return np.ones((clip.num_frames, 2))
    return clip.contact[:, [clip.contact_names.index(name) for name in names]]
