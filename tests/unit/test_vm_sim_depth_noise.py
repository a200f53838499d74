"""Each thing that a real camera does happens as often and as much as its number says, and the same seed repeats it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from vm_core.depth_image import DepthSpec
from vm_core.errors import VmError
from vm_core.frames import rotvec_from_quat
from vm_sim.depth_noise import DepthDelay, DepthNoise, DepthNoiseConfig, NumpyDraws

SPEC = DepthSpec()
NONE = DepthNoiseConfig.none()
COUNT = 400


def camera(config: DepthNoiseConfig, seed: int = 0, count: int = COUNT) -> DepthNoise:
    return DepthNoise(count, SPEC, config, NumpyDraws(np.random.default_rng(seed)))


def pictures(depth: float = 1.0, count: int = COUNT) -> np.ndarray:
    return np.full((count, SPEC.height, SPEC.width), depth, dtype=np.float32)


def test_a_perfect_camera_changes_nothing():
    flat = pictures()
    np.testing.assert_array_equal(camera(NONE).apply(flat), flat)
    assert np.all(camera(NONE).tilt == [1.0, 0.0, 0.0, 0.0])


@pytest.mark.parametrize("depth", [0.5, 1.0, 2.0])
def test_noise_grows_with_the_square_of_the_depth(depth):
    flat = pictures(depth, 20)
    noisy = camera(replace(NONE, range_std=0.006), count=20).apply(flat)
    assert np.std(noisy - flat) == pytest.approx(0.006 * depth**2, rel=0.02)
    assert np.all(flat == np.float32(depth))  # the picture that came in stays as it was


def test_near_things_are_holes():
    config = replace(NONE, nearest_m=(0.1, 0.3))
    noise = camera(config)
    share = [np.mean(noise.apply(pictures(depth))[:, 0, 0] == 0.0) for depth in (0.05, 0.2, 0.35)]
    assert share[0] == 1.0 and 0.4 < share[1] < 0.6 and share[2] == 0.0


def test_a_near_thing_s_left_side_throws_a_shadow_and_its_edges_grow():
    scene = pictures(2.0, 20)
    scene[:, 10:30, 30:50] = 0.5
    shadowed = camera(replace(NONE, shadows=True), count=20).apply(scene)
    wide = SPEC.focal_px * 0.05 * (1 / 0.5 - 1 / 2.0)  # disparities differ by 3.3 px
    assert np.all((shadowed[:, 20] == 0.0).sum(axis=1) == int(wide))
    assert np.all(shadowed[:, 20, 27:30] == 0.0) and np.all(shadowed[:, 20, 30:] > 0.0)
    fat = camera(replace(NONE, fat_share=0.4), count=20).apply(scene)
    assert np.mean(fat[:, 10:30, 29] == 0.5) == pytest.approx(0.4, abs=0.1)
    assert np.all(fat[:, 10:30, 28] == 2.0) and np.all(fat[:, 10:30, 30:50] == 0.5)


def test_blobs_patch_and_masks_are_as_frequent_as_they_should_be():
    assert np.mean(camera(replace(NONE, blob_share=0.1)).apply(pictures()) == 0.0) == pytest.approx(0.05, abs=0.01)
    patched = camera(replace(NONE, patch_share=0.2, patch_px=(16, 14))).apply(pictures())
    corner = np.all(patched[:, -14:, :16] == SPEC.far_m, axis=(1, 2))
    assert corner.mean() == pytest.approx(0.2, abs=0.06)
    assert np.all(patched[:, :-14] == 1.0) and np.all(patched[:, :, 16:] == 1.0)
    masked = camera(replace(NONE, masks=6, mask_share=0.1, mask_px=30)).apply(pictures())
    touched = np.any(masked != 1.0, axis=(1, 2))
    assert touched.mean() == pytest.approx(1 - 0.9**6, abs=0.08)
    single = camera(replace(NONE, masks=1, mask_share=1.0, mask_px=30)).apply(pictures()) != 1.0
    assert single.any(axis=1).sum(axis=1).max() <= 30 and single.any(axis=2).sum(axis=1).max() <= 30
    values = masked[masked != 1.0]
    assert values.min() == np.float32(SPEC.near_m) and values.max() == SPEC.far_m
    assert 0.2 < np.mean(values == SPEC.far_m) < 0.5  # a third white


def test_tilts_stay_within_five_degrees_and_episodes_differ():
    noise = camera(DepthNoiseConfig())
    turns = np.degrees(rotvec_from_quat(noise.tilt))
    assert 4.5 < np.abs(turns).max() <= 5.0 and np.abs(turns.mean()) < 0.5
    before = noise.tilt.copy()
    noise.reset(np.array([3, 5]), 2)
    changed = np.any(noise.tilt != before, axis=1)
    assert changed.tolist() == [i in (3, 5) for i in range(COUNT)]


def test_the_same_seed_gives_the_same_picture_and_torch_is_like_numpy():
    scene = pictures(1.0, 4)
    scene[:, 10:30, 30:50] = 0.5
    first, again, other = (camera(DepthNoiseConfig(), seed, 4).apply(scene) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)

    class TorchDraws(NumpyDraws):
        def uniform(self, shape):
            return torch.from_numpy(super().uniform(shape))

        def normal(self, shape):
            return torch.from_numpy(super().normal(shape))

    noise = DepthNoise(4, SPEC, DepthNoiseConfig(), TorchDraws(np.random.default_rng(1)))
    np.testing.assert_allclose(noise.apply(torch.from_numpy(scene)).numpy(), first, atol=1e-6)


@pytest.mark.parametrize("latency", [0.0, 0.03, 0.06])
def test_pictures_come_late_and_thirty_times_a_second(latency):
    """Each picture holds its time: what comes out is never newer than the latency, nor older than it and a frame."""
    draws = NumpyDraws(np.random.default_rng(0))
    delay = DepthDelay(50, SPEC, 0.02, 0.06, draws)
    ages, changes, last = [], 0, None
    for step in range(150):
        seen = delay.push(pictures(1.0 + step, 50), np.full(50, latency, dtype=np.float32))[:, 0, 0]
        if step > 10:
            ages.append(0.02 * (1.0 + step - seen))
            changes += 0 if last is None else int(np.sum(seen != last))
        last = seen
    ages = np.array(ages)
    assert ages.min() >= latency - 0.0101 and ages.max() <= latency + 1 / 30 + 0.0101
    assert changes / (50 * 138 * 0.02) == pytest.approx(30.0, rel=0.05)


def test_after_a_reset_nothing_old_is_seen():
    delay = DepthDelay(2, SPEC, 0.02, 0.06, NumpyDraws(np.random.default_rng(0)))
    latency = np.full(2, 0.06, dtype=np.float32)
    for _ in range(10):
        delay.push(pictures(1.0, 2), latency)
    delay.reset(np.array([1]), 1)
    seen = delay.push(pictures(2.0, 2), latency)
    assert seen[0, 0, 0] == 1.0 and seen[1, 0, 0] == 2.0


def test_impossible_noise_is_named():
    for wrong in ({"blob_share": 1.5}, {"latency_s": (0.1, 0.0)}, {"range_std": -1.0}):
        with pytest.raises(VmError):
            replace(NONE, **wrong)
