"""A person in a mirror is told from a second person; a body whose left and right change places is told, too."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_vm_reconstruction_report import run_folder  # noqa: F401  (a fixture)

from vm_reconstruction.batch.summary import summarize
from vm_reconstruction.batch.worker import Outcome
from vm_reconstruction.datasets import make_dataset
from vm_reconstruction.datasets.synthetic import bodies, cameras, gait, pictures
from vm_reconstruction.datasets.synthetic.recipe import plan, recipes
from vm_reconstruction.datasets.synthetic.video_truth import VideoTruth
from vm_reconstruction.demo.person import PersonMotion, as_human_motion
from vm_reconstruction.frontends.noisy_oracle import observe
from vm_reconstruction.frontends.oracle_noise import OracleNoise
from vm_reconstruction.geometry.reflection import Reflection, best_reflection
from vm_reconstruction.human_motion import JOINT_NAMES, HumanMotion
from vm_reconstruction.manifest import Manifest
from vm_reconstruction.observations import Observations
from vm_reconstruction.progress import FrameProgress
from vm_reconstruction.solver.body_problem import POINTS
from vm_reconstruction.stages import joint, mirrors
from vm_reconstruction.stages import observe as observe_stage
from vm_reconstruction.stages.frames import FrameSource

FPS = 15.0
OTHER = mirrors.sides_exchanged(JOINT_NAMES)


@lru_cache
def walkers(seed: int) -> list[HumanMotion]:
    """Everybody of a set."""
    found = []
    for work in (plan(recipe) for recipe in recipes(seed)):
        for walker, person in zip(work.walkers, work.people, strict=True):
            body = bodies.load_body(*person)
            found.append(
                as_human_motion(gait.walk_person(walker, body.skeleton, person[1], FPS, work.duration_s), person[1])
            )
    return found


def mirror(yaw: float, offset: float) -> Reflection:
    return Reflection(np.array([np.cos(yaw), np.sin(yaw), 0.0]), offset, 0.0, 0.0, 0.0, 0.0)


def seen_in(plane: Reflection, motion: HumanMotion, noise: np.ndarray | float = 0.0) -> HumanMotion:
    """What somebody would tell of the image: a person whose left hand is the mirrored right one."""
    return replace(motion, joint_pos_world=plane.image(motion.joint_pos_world)[:, OTHER] + noise)


@settings(max_examples=30, deadline=None)
@given(who=st.integers(0, 25), yaw=st.floats(-3.1, 3.1), gap=st.floats(0.3, 2.0), seed=st.integers(0, 999))
def test_an_image_is_found_with_its_mirror(who, yaw, gap, seed):
    motion = walkers(0)[who]
    normal = np.array([np.cos(yaw), np.sin(yaw), 0.0])
    plane = mirror(yaw, float((motion.joint_pos_world @ normal).min()) - gap)  # nobody walks through it
    noise = 0.03 * np.random.default_rng(seed).standard_normal(motion.joint_pos_world.shape)
    found = mirrors.reflection_of(motion, seen_in(plane, motion, noise))
    assert found is not None and found.normal @ normal > 0.995 and found.apart_share == 1.0
    back = mirrors.reflection_of(seen_in(plane, motion, noise), motion)
    assert back is not None and back.normal @ found.normal == pytest.approx(-1.0)
    exact = best_reflection(motion.joint_pos_world, seen_in(plane, motion).joint_pos_world[:, OTHER])
    assert exact.residual_m < 1e-6 and exact.agreement == pytest.approx(1.0)
    assert exact.offset == pytest.approx(plane.offset, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), yaw=st.floats(-3.1, 3.1), offset=st.floats(-2, 2))
def test_no_upright_mirror_fits_better_than_the_best(seed, yaw, offset):
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(2, 6, 5, 3)) + rng.normal(size=(2, 1, 1, 3))
    best = best_reflection(first, second)
    assert abs(np.linalg.norm(best.normal) - 1) < 1e-9 and best.normal[2] == 0.0
    other = np.sqrt(np.mean(np.sum((first - mirror(yaw, offset).image(second)) ** 2, axis=-1)))
    assert best.residual_m <= other + 1e-9
    np.testing.assert_allclose(best.image(best.image(first)), first, atol=1e-9)


def test_people_who_know_nothing_of_each_other_are_nobodys_image():
    rng, everybody, told, pairs = np.random.default_rng(0), [*walkers(0), *walkers(1)], 0, 300
    for _ in range(pairs):
        first, second = (everybody[k] for k in rng.choice(len(everybody), 2, replace=False))
        frames, turn = min(first.num_frames, second.num_frames), rng.uniform(0, 2 * np.pi)
        c, s = np.cos(turn), np.sin(turn)
        start = second.joint_pos_world[0, 0] * [1, 1, 0]
        moved = (second.joint_pos_world[:frames] - start) @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
        moved += first.joint_pos_world[0, 0] * [1, 1, 0] + [*rng.uniform(-2.5, 2.5, 2), 0]
        told += (
            mirrors.reflection_of(_cut(first, frames), replace(_cut(second, frames), joint_pos_world=moved)) is not None
        )
    assert told <= 0.01 * pairs


def _cut(motion: HumanMotion, frames: int) -> HumanMotion:
    names = ("joint_pos_world", "joint_quat_wxyz_world", "contact", "confidence")
    return replace(motion, **{name: getattr(motion, name)[:frames] for name in names})


def test_twins_who_stand_still_or_walk_hand_in_hand_are_two():
    motion = walkers(0)[0]
    beside = replace(motion, joint_pos_world=motion.joint_pos_world + [0.0, 0.8, 0.0])
    assert mirrors.reflection_of(motion, beside) is None  # the same foot first: no mirror does that
    still = replace(motion, joint_pos_world=np.repeat(motion.joint_pos_world[:1], motion.num_frames, axis=0))
    assert mirrors.reflection_of(still, seen_in(mirror(np.pi / 2, -3.0), still)) is None
    image = seen_in(mirror(np.pi / 2, -3.0), motion)
    hidden = np.where(np.arange(motion.num_frames) < 0.8 * FPS, 1.0, 0.0)
    assert mirrors.reflection_of(motion, replace(image, confidence=hidden)) is None  # seen together too short


def _other(name: str) -> str:
    side, bar, part = name.partition("_")
    return {"left": "right", "right": "left"}.get(side, side) + bar + part


def _mirrored(motion: PersonMotion, y: float) -> PersonMotion:
    flip = np.diag([1.0, -1.0, 1.0])
    joints = {name: motion.joints[_other(name)] * [1, -1, 1] + [0, 2 * y, 0] for name in motion.joints}
    rotations = {name: flip @ motion.rotations[_other(name)] @ flip for name in motion.rotations}
    return PersonMotion(motion.fps, joints, rotations, motion.contact[:, [1, 0, 2]])


def video_with_mirror(y: float) -> VideoTruth:
    """The set's first walk beside a mirror at `y` [m], as two people would be truth."""
    work = plan(recipes(0)[0])
    person = work.people[0]
    body = bodies.load_body(*person)
    motion = gait.walk_person(work.walkers[0], body.skeleton, person[1], FPS, 3.0)
    stage, camera, filming, truth = make_dataset._staged(
        work.scene, [body, body], [motion, _mirrored(motion, y)], [person[1]] * 2, 0, cameras.Filming.random
    )
    size = (96, 72) if filming.size[0] > filming.size[1] else (72, 96)
    depth, mask = zip(*pictures.depth_and_masks(stage, camera, filming.size, size), strict=True)
    return replace(truth, depth=np.array(depth, np.float16), mask=np.array(mask))


class Told:
    """A front-end that tells what it was given."""

    identity: dict = {}

    def __init__(self, observed: Observations) -> None:
        self.observed = observed

    def observe(self, source, heights_m, on_frame) -> Observations:
        return self.observed


def test_a_person_and_an_image_are_named_from_observations_to_the_record(tmp_path, capsys):
    observed = observe(video_with_mirror(1.2), OracleNoise(), seed=5)
    width, height = observed.size
    source = FrameSource("v", FPS, observed.num_frames, 1, width, height, width, height, observed.matrix[0, 0], "given")
    (tmp_path / "stages").mkdir()
    source.save(tmp_path / "stages" / "frames.json")
    image = observed.people[1]
    exchanged = image.points_camera.copy()
    exchanged[20:26] = exchanged[20:26, mirrors.sides_exchanged(POINTS)]
    people = (observed.people[0], replace(image, points_camera=exchanged))
    observe_stage.run(tmp_path, Told(replace(observed, people=people)), (1.7, 1.7), FrameProgress("observe", 1))
    said = capsys.readouterr().err
    assert f"{mirrors.SIDES} of person 2 change places from 1.3 to 1.7 s" in said and "of person 1" not in said
    guessed = replace(image, height_m=1.05 * image.height_m)  # by a user who took the image for somebody else
    replace(observed, people=(observed.people[0], guessed)).save(tmp_path / observe_stage.FILE)
    joint.run(tmp_path)
    assert "persons 1 and 2 move as each other's mirror image" in capsys.readouterr().err
    record = json.loads((tmp_path / "stages" / "joint.json").read_text())
    assert [pair["people"] for pair in record["reflections"]] == [[1, 2]]
    assert record["reflections"][0]["residual_m"] < 0.10 and record["reflections"][0]["agreement"] > 0.9


def test_a_batch_flags_them(run_folder):  # noqa: F811
    outcome = Outcome(run_folder.name, 1.0)
    assert not {"mirror image", "sides exchanged"} & set(summarize(outcome, run_folder.parent).flags)
    (run_folder / "stages" / "joint.json").write_text('{"reflections": [{"people": [1, 2]}]}')
    Manifest(run_folder / "manifest.json").record(
        "human", "", run_folder, ("human.npz",), 1.0, [f"{mirrors.SIDES} of him"]
    )
    assert {"mirror image", "sides exchanged"} <= set(summarize(outcome, run_folder.parent).flags)


@settings(max_examples=15, deadline=None)
@given(
    who=st.integers(0, 25), start=st.integers(5, 25), length=st.integers(5, 20), seed=st.integers(0, 99),
    turn=st.floats(-3, 3),
)  # fmt: skip
def test_sides_that_change_places_are_found_where_they_do(who, start, length, seed, turn):
    motion = walkers(0)[who]
    points = motion.joint_pos_world[:, [JOINT_NAMES.index(name) for name in POINTS]]
    c, s = np.cos(turn), np.sin(turn)
    points = points @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
    points = points + 0.02 * np.random.default_rng(seed).standard_normal(points.shape)
    seen = np.ones(len(points), bool)
    assert mirrors.exchanged_runs(points, POINTS, seen, FPS) == []
    points[start : start + length] = points[start : start + length, mirrors.sides_exchanged(POINTS)]
    assert mirrors.exchanged_runs(points, POINTS, seen, FPS) == [(start, start + length)]
    seen[start - 1 : start + 5] = False  # unseen while it happens: nothing is known of it
    assert all(begin >= start for begin, _ in mirrors.exchanged_runs(points, POINTS, seen, FPS))


def test_exchanged_sides_are_told_once_with_their_times(capsys):
    motion = walkers(0)[0]
    points = motion.joint_pos_world.copy()
    points[30:45] = points[30:45, OTHER]
    mirrors.tell_exchanged_sides(points, JOINT_NAMES, np.ones(len(points), bool), FPS)
    assert (
        f"{mirrors.SIDES} of the person change places from 2.0 to 3.0 s: an image in a mirror"
        in capsys.readouterr().err
    )
    mirrors.tell_exchanged_sides(motion.joint_pos_world, JOINT_NAMES, np.zeros(len(points), bool), FPS)
    assert not capsys.readouterr().err
