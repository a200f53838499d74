"""How simulated robots and places differ from one another, so that a policy does not lean on one of them."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import mujoco
import numpy as np

from vm_core import g1
from vm_core.errors import VmError
from vm_core.scene_asset import SceneAsset
from vm_sim.g1_model import load_g1_spec
from vm_sim.terrain import add_scene


@dataclass(frozen=True)
class DomainRanges:
    """Half-widths of uniform variations around the nominal robot and place, zero for none.

    Attributes:
        friction: lowest and highest sliding friction of the soles.
        payload_kg: mass added to the torso.
        mass: factor on all masses and inertias.
        gain: factor on each motor's position and velocity gain.
        box_height_m: height of every box of the scene.
        delay_s: longest time from a state to the command computed from it.
    """

    friction: tuple[float, float] = (0.4, 1.0)
    payload_kg: float = 1.5
    mass: float = 0.05
    gain: float = 0.08
    box_height_m: float = 0.008
    delay_s: float = 0.01

    @staticmethod
    def none() -> DomainRanges:
        """The nominal robot and place only."""
        return DomainRanges((0.6, 0.6), 0.0, 0.0, 0.0, 0.0, 0.0)


def build_model(scene: SceneAsset, *, collision: str = "spheres", timestep_s: float = 0.005) -> mujoco.MjModel:
    """The 23-joint G1 in a scene, for training ("spheres", 5 ms) or for checks ("full", 2 ms)."""
    spec = load_g1_spec(collision=collision, wrists=False)
    add_scene(spec, scene)
    spec.option.timestep = timestep_s
    return spec.compile()


def vary_model(model: mujoco.MjModel, ranges: DomainRanges, rng: np.random.Generator) -> mujoco.MjModel:
    """A copy of the model with its parameters drawn from the ranges."""
    varied = copy.copy(model)
    soles = [i for i in range(model.ngeom) if "_sole" in model.geom(i).name]
    varied.geom_friction[soles, 0] = rng.uniform(*ranges.friction)
    factor = 1.0 + rng.uniform(-ranges.mass, ranges.mass)
    varied.body_mass[:] *= factor
    varied.body_inertia[:] *= factor
    varied.body_mass[model.body(g1.TORSO_BODY).id] += rng.uniform(-ranges.payload_kg, ranges.payload_kg)
    kp = 1.0 + rng.uniform(-ranges.gain, ranges.gain, model.nu)
    varied.actuator_gainprm[:, 0] *= kp
    varied.actuator_biasprm[:, 1] *= kp
    varied.actuator_biasprm[:, 2] *= 1.0 + rng.uniform(-ranges.gain, ranges.gain, model.nu)
    boxes = [i for i in range(model.ngeom) if model.geom(i).name.startswith("scene_")]
    varied.geom_pos[boxes, 2] += rng.uniform(-ranges.box_height_m, ranges.box_height_m, len(boxes))
    return varied


@dataclass(frozen=True)
class EpisodeRanges:
    """What reinforcement learning draws anew for every robot at every reset; half-widths unless said otherwise.

    Attributes:
        friction: lowest and highest sliding friction of the soles.
        payload_kg: lowest and highest mass added to the torso.
        torso_com_m: shift of the torso's centre of mass, along each axis.
        mass: factor on all masses.
        gain: factor on each motor's gains.
        delay_s: longest time from a state to its command; fixed for an episode.
        joint_bias_rad: constant error of each encoder, standard deviation.
        tilt_bias_rad: constant error of gravity's direction, standard deviation.
        push_every_s: mean time between pushes; 0 for none.
        push_m_s: largest horizontal push of the pelvis.
        grid_errors: factor on the measured errors of the height map.
        exact_grids: share of robots whose height map makes no errors.
    """

    friction: tuple[float, float] = (0.3, 1.1)
    payload_kg: tuple[float, float] = (-1.0, 3.0)
    torso_com_m: float = 0.02
    mass: float = 0.05
    gain: float = 0.08
    delay_s: float = 0.02
    joint_bias_rad: float = 0.005
    tilt_bias_rad: float = 0.01
    push_every_s: float = 4.0
    push_m_s: float = 0.5
    grid_errors: float = 1.0
    exact_grids: float = 0.0

    def __post_init__(self) -> None:
        low, high = self.friction
        rest = (self.torso_com_m, self.mass, self.gain, self.delay_s, self.push_every_s, self.push_m_s)
        if not 0.0 < low <= high or min(*rest, self.grid_errors) < 0.0 or max(self.mass, self.gain) >= 1.0:
            raise VmError(f"{self}: expected 0 < friction low <= high, nothing negative, mass and gain below 1")
        if not 0.0 <= self.exact_grids <= 1.0:
            raise VmError(f"exact_grids {self.exact_grids}; expected a share, 0 to 1")

    @staticmethod
    def none() -> EpisodeRanges:
        """The nominal robot, unpushed."""
        return EpisodeRanges((0.6, 0.6), (0.0, 0.0), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
