"""Both backends of batched physics on the same states; needs a GPU and mujoco-warp."""

import copy

import mujoco
import numpy as np
import pytest

from vm_core.errors import VmError
from vm_core.scene_asset import SceneAsset, SceneBox
from vm_sim.batch_physics import BatchPhysics
from vm_sim.batch_physics_warp import WarpPhysics, find_device
from vm_sim.g1_model import load_g1_spec, stand_qpos
from vm_sim.terrain import add_scene


def device() -> str:
    try:
        return find_device()
    except VmError as error:
        pytest.skip(str(error))


def models(count: int) -> list[mujoco.MjModel]:
    spec = load_g1_spec(wrists=False)
    add_scene(spec, SceneAsset(boxes=(SceneBox((0.1, 0.0, -0.2), (0.6, 0.5, 0.2)),)))
    spec.option.timestep = 0.005
    first = spec.compile()
    found = [copy.copy(first) for _ in range(count)]
    for k, model in enumerate(found):
        model.body_mass[:] *= 1.0 + 0.02 * k
        model.actuator_gainprm[:, 0] *= 1.0 - 0.03 * k
        model.actuator_biasprm[:, 1] *= 1.0 - 0.03 * k
    return found


def test_both_backends_move_alike():
    """A quarter of a second of standing and wobbling robots, each with masses and gains of its own."""
    on, count = device(), 4
    built = models(count)
    rng = np.random.default_rng(0)
    qpos, qvel = np.tile(stand_qpos(built[0]), (count, 1)), rng.normal(0.0, 0.05, (count, 29))
    cpu, gpu = BatchPhysics(built), WarpPhysics(built, device=on)
    for physics in (cpu, gpu):
        physics.reset(np.arange(count), qpos, qvel)
    target = np.tile(qpos[0, 7:], (count, 1))
    for k in range(12):
        previous, target = target, qpos[:, 7:] + 0.05 * np.sin(0.5 * k) * rng.normal(0.0, 1.0, (count, 23))
        delay = np.array([0.0, 1.0, 2.0, 4.0])
        cpu.step(target, previous, delay)
        gpu.step(target, previous, delay)
    assert np.abs(cpu.qpos - qpos).max() > 0.02
    # single precision and another solver: feet that slip end a degree apart, the rest agrees
    np.testing.assert_allclose(gpu.qpos, cpu.qpos, atol=0.03)
    assert np.abs(gpu.qpos - cpu.qpos).mean() < 2e-3
    assert np.abs(cpu.qpos[0] - cpu.qpos[3]).max() > 1e-3


def test_without_a_gpu_one_line_says_so():
    with pytest.raises(VmError, match="no device 'cuda:99' to simulate on; there is|is not installed"):
        find_device("cuda:99")
