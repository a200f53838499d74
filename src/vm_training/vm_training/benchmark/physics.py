"""Physics that a policy is judged in, and the models of many robots in it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from vm_core import g1
from vm_core.action import expand_to_motors
from vm_core.errors import VmError
from vm_core.policy_contract import PolicyContract
from vm_core.scene_asset import SceneAsset
from vm_sim.g1_model import load_g1_spec, set_gains
from vm_sim.imu import add_imus
from vm_sim.terrain import add_scene


@dataclass(frozen=True)
class PhysicsVariant:
    """One physics; the whole body touches the scene and itself.

    Attributes:
        timestep_s: of a physics step.
        iterations: of the contact solver.
        elliptic: elliptic instead of pyramidal friction cones.
        friction: sliding friction of the soles, lowest and highest.
        payload_kg: added to the torso, lowest and highest.
        mass: factor on all masses, lowest and highest.
        gain: factor on the motors' gains, lowest and highest.
        latency_s: from a state to the command computed from it, shortest and longest.
    """

    timestep_s: float = 0.002
    iterations: int = 10
    elliptic: bool = False
    friction: tuple[float, float] = (0.6, 0.6)
    payload_kg: tuple[float, float] = (0.0, 0.0)
    mass: tuple[float, float] = (1.0, 1.0)
    gain: tuple[float, float] = (1.0, 1.0)
    latency_s: tuple[float, float] = (0.0, 0.0)


PHYSICS: dict[str, PhysicsVariant] = {
    "nominal": PhysicsVariant(),
    "time_step": PhysicsVariant(timestep_s=0.005),
    "solver": PhysicsVariant(iterations=50, elliptic=True, timestep_s=0.001),
    "friction": PhysicsVariant(friction=(0.35, 0.5)),
    "mass": PhysicsVariant(payload_kg=(1.0, 3.0), mass=(0.95, 1.05)),
    "latency": PhysicsVariant(latency_s=(0.01, 0.02)),
    "varied": PhysicsVariant(0.002, 10, False, (0.4, 1.0), (-1.0, 2.0), (0.95, 1.05), (0.92, 1.08), (0.0, 0.012)),
}
"""Physics by name."""


def physics_named(name: str) -> PhysicsVariant:
    """A variant.

    Raises:
        VmError: there is none of that name.
    """
    if name not in PHYSICS:
        raise VmError(f"no physics {name!r}; there are {', '.join(PHYSICS)}")
    return PHYSICS[name]


def build_models(
    scenes: Sequence[SceneAsset], contract: PolicyContract, variant: PhysicsVariant, rng: np.random.Generator
) -> list[mujoco.MjModel]:
    """A model of the 29-motor G1 for each scene, with the contract's gains, drawn from the variant's ranges.

    Raises:
        VmError: a scene that MuJoCo cannot load, or scenes of different numbers of boxes.
    """
    if len({len(scene.boxes) for scene in scenes}) != 1:
        raise VmError("episodes of one course need scenes of one number of boxes")
    compiled: dict[int, mujoco.MjModel] = {}
    for scene in scenes:
        if id(scene) not in compiled:
            compiled[id(scene)] = _compile(scene, variant)
    return [_varied(compiled[id(scene)], contract, variant, rng) for scene in scenes]


def _compile(scene: SceneAsset, variant: PhysicsVariant) -> mujoco.MjModel:
    spec = load_g1_spec(collision="full")
    add_scene(spec, scene)
    add_imus(spec)
    spec.option.timestep, spec.option.iterations = variant.timestep_s, variant.iterations
    if variant.elliptic:
        spec.option.cone = int(mujoco.mjtCone.mjCONE_ELLIPTIC)
    try:
        return spec.compile()
    except ValueError as error:
        raise VmError(f"scene of {len(scene.boxes)} boxes: MuJoCo cannot load it ({error})") from None


def _varied(
    model: mujoco.MjModel, contract: PolicyContract, variant: PhysicsVariant, rng: np.random.Generator
) -> mujoco.MjModel:
    varied = copy.copy(model)
    motors = expand_to_motors(np.array(contract.default_joint_pos), contract)
    factor = rng.uniform(*variant.gain, model.nu)
    set_gains(varied, motors.kp * factor, motors.kd * factor)
    soles = [i for i in range(model.ngeom) if "_sole" in model.geom(i).name]
    varied.geom_friction[soles, 0] = rng.uniform(*variant.friction)
    heavier = rng.uniform(*variant.mass)
    varied.body_mass[:] *= heavier
    varied.body_inertia[:] *= heavier
    varied.body_mass[model.body(g1.TORSO_BODY).id] += rng.uniform(*variant.payload_kg)
    return varied
