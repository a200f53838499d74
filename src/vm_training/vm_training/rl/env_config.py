"""How robots of an environment are simulated, varied and seen."""

from __future__ import annotations

from dataclasses import dataclass, field

from vm_core.errors import VmError
from vm_training.mdp.observations import SensorNoise
from vm_training.mdp.randomization import EpisodeRanges


@dataclass(frozen=True)
class EnvConfig:
    """How robots are simulated, varied and seen.

    Attributes:
        num_envs: robots.
        timestep_s: of the physics.
        ranges: of what is drawn at every reset.
        noise: of the sensors.
        mirror: half of the robots live in a mirrored world.
        threads: of the physics.
    """

    num_envs: int = 256
    timestep_s: float = 0.005
    ranges: EpisodeRanges = field(default_factory=EpisodeRanges)
    noise: SensorNoise = field(default_factory=SensorNoise)
    mirror: bool = True
    threads: int = 2

    def __post_init__(self) -> None:
        if self.num_envs < 1 or self.threads < 1 or not 0.0 < self.timestep_s <= 0.02:
            raise VmError(
                f"{self.num_envs} robots, {self.threads} threads, steps of {self.timestep_s} s; expected at least one "
                "robot and thread, and steps of at most 0.02 s"
            )
