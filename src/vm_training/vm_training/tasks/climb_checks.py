"""How often a student follows its clip to the end, in physics finer than the one that it learned in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vm_core.motion_clip import MotionClip
from vm_core.policy_contract import ObservationTerm
from vm_core.scene_asset import SceneAsset
from vm_training.mdp.clip_tracking import LOST_POSITION_M, ClipTracking, StartNoise
from vm_training.mdp.observations import TRACKING_TERMS, SensorNoise, observe
from vm_training.mdp.randomization import DomainRanges
from vm_training.student import Student
from vm_training.tasks.distillation import act

WIDE_START = StartNoise(position_m=0.03, rotation_rad=0.05)
NOMINAL = DomainRanges.none()
CONDITIONS: dict[str, tuple[DomainRanges, StartNoise]] = {
    "nominal": (NOMINAL, StartNoise()),
    "start 3 cm, 3 deg": (NOMINAL, WIDE_START),
    "friction 0.4": (DomainRanges((0.4, 0.4), 0.0, 0.0, 0.0, 0.0, 0.0), StartNoise()),
    "delay 0 to 20 ms": (DomainRanges((0.6, 0.6), 0.0, 0.0, 0.0, 0.0, 0.02), StartNoise()),
    "steps 8 mm": (DomainRanges((0.6, 0.6), 0.0, 0.0, 0.0, 0.008, 0.0), StartNoise()),
    "all varied": (DomainRanges(), WIDE_START),
}
"""Conditions by name; friction, payload, masses, gains, step heights and delay as in DomainRanges."""


@dataclass(frozen=True)
class Check:
    """Share of starts that end upright on the clip, and the mean time that they last [s]."""

    condition: str
    starts: int
    success: float
    upright_s: float


def evaluate_student(
    student: Student,
    clip: MotionClip,
    scene: SceneAsset,
    lost_m: float = LOST_POSITION_M,
    *,
    seed: int,
    starts: int = 64,
    threads: int = 2,
    terms: tuple[ObservationTerm, ...] = TRACKING_TERMS,
) -> list[Check]:
    """Follows the clip and stands for three seconds, with full collision shapes at 2 ms, under each condition."""
    checks = []
    for condition, (ranges, noise) in CONDITIONS.items():
        env = ClipTracking(clip, scene, starts, ranges, noise, seed, "full", 0.002, threads, lost_m)
        checks.append(Check(condition, starts, *follow(env, student, terms=terms)))
        env.physics.close()
    return checks


def follow(
    env: ClipTracking, student: Student, hold_s: float = 3.0, terms: tuple[ObservationTerm, ...] = TRACKING_TERMS
) -> tuple[float, float]:
    """Share of robots that follow the whole clip and stand at its end, and the mean time that they last [s]."""
    everyone = np.arange(env.num_envs)
    env.reset(everyone, np.zeros(env.num_envs, dtype=int))
    alive, lasted = np.ones(env.num_envs, dtype=bool), np.zeros(env.num_envs)
    for _ in range(env.clip.num_frames + int(hold_s * env.clip.fps)):
        env.step(act(student, observe(env, SensorNoise(), terms)))
        alive &= ~env.lost()
        lasted += alive
        if not alive.any():
            break
    return float(alive.mean()), float(lasted.mean() / env.clip.fps)
