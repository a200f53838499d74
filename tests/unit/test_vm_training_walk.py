"""A walker's training: lessons, rounds that a second start takes up, checks on fresh courses."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vm_core.errors import VmError
from vm_core.gait_clock import GaitClock
from vm_core.height_grid import HeightGridSpec, cell_points_world, mean_heights
from vm_core.scene_asset import SceneAsset, SceneBox
from vm_policy_node.onnx_policy import OnnxPolicy
from vm_training import train
from vm_training.export import export_policy, walking_contract
from vm_training.make_motions import MakeMotions, make_motions
from vm_training.mdp import mirror
from vm_training.mdp.lane import ACTION_SCALE_RAD, MOST_ALONG_ERROR_M, LaneConfig, make_lane, sees_edge
from vm_training.mdp.operators import FADE_STEPS, ClipOperator, Timing
from vm_training.mdp.walk_observations import GRID, OBSERVATION_SIZE, WALK_TERMS, observation_size, torso_pose
from vm_training.motions.courses import WALKING_GAIT
from vm_training.motions.footsteps import Gait
from vm_training.student import Student
from vm_training.tasks import walk, walk_evaluation, walk_validation
from vm_training.tasks.classroom import act
from vm_training.tasks.earlier_walker import stand_differently
from vm_training.tasks.lessons import Lessons
from vm_training.tasks.lqr_teachers import LqrTeachersConfig, train_lqr_teachers
from vm_training.tasks.motion_folder import load_motion
from vm_training.tasks.school import School, half_mirroring
from vm_training.tasks.walk_config import WalkConfig
from vm_training.tasks.work_folder import WorkFolder
from vm_training.teachers.sampled_lqr import LqrConfig, LqrTeacher

LANE = LaneConfig(num_envs=4, threads=1)
CONFIG = WalkConfig(
    rounds=3,
    motions_a_round=1,
    steps=30,
    passes=1.0,
    batch=32,
    lessons=1000,
    least_teacher=0.0,
    lane=LANE,
    validate_every=0,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two motions with teachers that have hardly been trained."""
    out = tmp_path_factory.mktemp("walk")
    make_motions(
        MakeMotions(
            out / "motions", count=1, kinds=("flat", "kerb"), gait=replace(WALKING_GAIT, stand_s=0.6, drop_roll_s=0.3)
        )
    )
    config = LqrTeachersConfig(LqrConfig(rounds=1, steps_a_round=600, hold_s=0.1), num_envs=12, threads=1)
    train_lqr_teachers(out / "motions", config, WorkFolder(out / "teachers"))
    return out


def trained(folder: Path, out: Path, config: WalkConfig = CONFIG) -> dict[str, np.ndarray]:
    walk.train_walk(folder / "motions", folder / "teachers", config, WorkFolder(out))
    return WorkFolder(out).read_arrays("walker.npz")


def test_lessons_forget_the_oldest():
    lessons = Lessons.room_for(5, 3, 2)
    for k in range(4):
        lessons.add(np.full((2, 3), k), np.full((2, 2), k))
    assert lessons.count == 5 and lessons.written == 8
    assert sorted(lessons.action[:, 0]) == [1, 2, 2, 3, 3]
    assert sorted(lessons.at(lessons.newest(3))[1][:, 0]) == [2, 3, 3]


def test_timing_of_a_clip(folder):
    flat = load_motion(folder / "motions", "flat_0000")
    timing = Timing.of(flat.clip, flat.gait)
    steps = timing.walk_s / flat.gait.step_s
    assert steps == pytest.approx(round(steps))
    way = np.linalg.norm(flat.clip.root_pos_world[-1, :2] - flat.clip.root_pos_world[0, :2])
    assert timing.speed == pytest.approx(way / (timing.walk_s - 2 * flat.gait.step_s), rel=0.02)
    assert abs(timing.yaw_rate) < 0.02
    assert timing.speed == pytest.approx(flat.gait.stride_m / flat.gait.step_s, rel=0.25)


def test_teachers_hide_what_the_walker_cannot_know(folder):
    """On the flat nothing says where one is; edges in sight say how far along, but not how far aside."""
    for name, near, along in (("flat_0000", False, 0.0), ("kerb_0000", True, MOST_ALONG_ERROR_M)):
        motion = load_motion(folder / "motions", name)
        teacher = LqrTeacher(np.random.default_rng(0).normal(0.0, 0.01, (motion.clip.num_frames, 23, 59)))
        lane = make_lane(motion, teacher, motion.clip.joint_pos[0], replace(LANE, num_envs=3), 0)
        frame = int(np.flatnonzero(lane.steers_by_edges == near)[70])
        lane.reset(np.arange(3), np.full(3, frame))
        lane.env.physics.qpos[:] = lane.env.reference_qpos[frame]
        lane.env.physics.qvel[:] = lane.env.reference_qvel[frame]
        lane.env.physics.qpos[1, 1] += 0.3
        lane.env.physics.qpos[2, 0] += 0.15
        error = lane.knowable_error()
        np.testing.assert_allclose(error[:2], 0.0, atol=1e-4)
        np.testing.assert_allclose(error[2, 0], along, atol=1e-4)
        np.testing.assert_allclose(error[2, 1:], 0.0, atol=1e-4)
        np.testing.assert_allclose(lane.wanted()[1], lane.wanted()[0], atol=1e-4)
        np.testing.assert_array_equal(lane.fallen(), [False, near, False])
        lane.env.physics.qpos[0, 2] -= 0.45
        assert lane.fallen()[0]


def test_a_killed_run_goes_on_with_the_last_whole_round(folder, tmp_path):
    whole = trained(folder, tmp_path / "whole")
    assert int(whole["rounds"]) == 3 and not np.isnan(whole["layers.0.weight"]).any()
    trained(folder, tmp_path / "part", replace(CONFIG, rounds=1))
    records = WorkFolder(tmp_path / "part").read_json("walker.json")
    config = tmp_path / "part" / "config.json"
    config.write_text((tmp_path / "whole" / "config.json").read_text())  # as if the longer run had been killed
    resumed = trained(folder, tmp_path / "part")
    assert int(resumed["rounds"]) == 3
    assert WorkFolder(tmp_path / "part").read_json("walker.json")[0] == records[0]


def test_the_best_round_is_kept_over_a_kill(folder, tmp_path, monkeypatch):
    """Rounds are judged on courses; what is returned is the best, also when the run was killed after it."""
    flat = load_motion(folder / "motions", "flat_0000")
    monkeypatch.setattr(walk_validation, "fresh_motions", lambda *_: [flat])
    scores = iter([0.2] * 2 + [0.7] * 2 + [0.4] * 2)  # a course of each of two kinds a round
    monkeypatch.setattr(walk_validation, "follow", lambda *_: next(scores))
    config = replace(CONFIG, validate_every=1, validation_robots=2)
    trained(folder, tmp_path, replace(config, rounds=2))
    second = WorkFolder(tmp_path).read_arrays("walker.npz")
    record = tmp_path / "config.json"
    record.write_text(record.read_text().replace('"rounds": 2', '"rounds": 3'))  # as if the longer run had been killed
    walker, _ = walk.train_walk(folder / "motions", folder / "teachers", config, WorkFolder(tmp_path))
    assert [r["validation"] for r in WorkFolder(tmp_path).read_json("walker.json")] == [0.2, 0.7, 0.4]
    found = walker.state_dict()["layers.0.weight"].numpy()
    np.testing.assert_array_equal(found, second["layers.0.weight"])
    assert np.abs(found - WorkFolder(tmp_path).read_arrays("walker.npz")["layers.0.weight"]).max() > 0.0


def test_the_command_leaves_a_policy_that_the_node_accepts(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "kinds_of", lambda _: ["flat"])
    quick = lambda *args: walk_evaluation.evaluate_walk(*args, courses=1)  # noqa: E731
    monkeypatch.setattr(train, "evaluate_walk", quick)
    monkeypatch.setattr(walk_evaluation, "COMMANDS", {"0.20 m/s": (0.2, 0.0, 0.0)})
    monkeypatch.setattr(walk_evaluation, "CHANGING", 1)
    monkeypatch.setattr(walk_evaluation, "WALK_S", 1.0)
    monkeypatch.setattr(walk_evaluation, "REST_S", 3.0)
    out = tmp_path / "walker.onnx"
    assert train.Walk(folder / "motions", folder / "teachers", out, config=replace(CONFIG, rounds=1)).run() == 0
    policy = OnnxPolicy.load(out)
    assert policy.contract.gait_step_s == Gait().step_s and policy.clip is None
    assert policy.contract.gait_fade_steps == FADE_STEPS
    assert policy.contract.action_scale == (ACTION_SCALE_RAD,) * 23
    assert policy.contract.training["checks"][0]["starts"] == 16
    card = out.with_suffix(".md").read_text()
    assert "1 flat, 1 kerb" in card
    assert "| 0.20 m/s |" in card and out.with_suffix(".png").stat().st_size > 1000
    assert not policy.contract.uses_odometry


def test_teachers_are_told_to_be_bolder(folder):
    plain, bold = (walk.load_bold_teacher(folder / "teachers", "kerb_0000", gain) for gain in (1.0, 1.5))
    np.testing.assert_allclose(bold.gains, 1.5 * plain.gains)
    assert np.abs(plain.gains).max() > 0.0 and bold.limit_rad == plain.limit_rad


def test_without_good_teachers_nothing_starts(folder, tmp_path):
    with pytest.raises(VmError, match="no teacher reaches 100%"):
        walk.train_walk(
            folder / "motions", folder / "teachers", replace(CONFIG, least_teacher=1.0), WorkFolder(tmp_path)
        )


def test_robots_go_on_where_they_were(folder):
    """Short rollouts from the plan would never show what adds up over a whole walk."""
    motion = load_motion(folder / "motions", "flat_0000")
    teacher = LqrTeacher(np.zeros((motion.clip.num_frames, 23, 59)))
    school = School({"flat_0000": (motion, teacher)}, motion.clip.joint_pos[0], replace(CONFIG, steps=5))
    school.round(0, fresh=True)
    robots = school._classrooms["flat_0000"]
    before = robots.age.copy()
    school.round(1, fresh=False)
    went_on = robots.age == before + 5
    assert went_on.mean() > 0.5 and (robots.age[~went_on] <= 5).all()


def test_a_walker_that_goes_on_sees_every_motion_before_it_learns(folder):
    """Then a round's motions are drawn by kind, as often as the configuration says."""
    names = ("flat_0000", "kerb_0000")
    motions = {name: load_motion(folder / "motions", name) for name in names}
    taught = {name: (m, LqrTeacher(np.zeros((m.clip.num_frames, 23, 59)))) for name, m in motions.items()}
    config = replace(CONFIG, steps=5, kind_weights={"flat": 0.0})
    school = School(taught, motions["flat_0000"].clip.joint_pos[0], config)
    school.round(0, fresh=False)
    assert set(school._classrooms) == set(names)
    drawn = {name for seed in range(20) for name in school._drawn(np.random.default_rng(seed), everything=False)}
    assert drawn == {"kerb_0000"}


def test_the_operator_wakes_the_clock_when_the_clip_steps(folder):
    """The clock that the node runs on the clip's command is the clip's own."""
    for name in ("flat_0000", "kerb_0000"):
        motion = load_motion(folder / "motions", name)
        lane = make_lane(motion, None, motion.clip.joint_pos[0], LANE, 0)
        operator = lane.observer.operator
        assert isinstance(operator, ClipOperator)
        lane.reset(np.arange(4), np.zeros(4, dtype=int))
        clocks = [GaitClock(motion.gait.step_s, FADE_STEPS) for _ in range(4)]
        for frame in range(motion.clip.num_frames):
            lane.env.reset(np.arange(4), np.full(4, frame))
            said = operator.command()
            ticks = np.array([clock.update(said[k], 0.02) for k, clock in enumerate(clocks)])
            np.testing.assert_allclose(operator.phase(), ticks, atol=1e-6)


def test_feet_that_stand_are_not_steered(folder):
    """Edges say where to step as long as there are steps left; a pelvis alone is not to be moved along the way."""
    motion = load_motion(folder / "motions", "kerb_0000")
    beside_the_end = SceneBox((motion.clip.root_pos_world[-1, 0] + 1.2, 0.0, 0.05), (1.0, 1.0, 0.05))
    motion = replace(motion, scene=SceneAsset(boxes=(*motion.scene.boxes, beside_the_end)))
    lane = make_lane(motion, None, motion.clip.joint_pos[0], LANE, 0)
    rest = round(motion.gait.stand_s * motion.clip.fps)
    last_step = round(motion.gait.step_s * motion.clip.fps)
    assert sees_edge(motion.scene, lane.env.reference_qpos)[-1]
    assert lane.steers_by_edges.any()
    assert not lane.steers_by_edges[:rest].any() and not lane.steers_by_edges[-rest - last_step :].any()


def test_some_robots_see_the_grid_as_it_is(folder):
    motion = load_motion(folder / "motions", "kerb_0000")
    seen = []
    for share in (0.5, 0.0):
        lane = make_lane(motion, None, motion.clip.joint_pos[0], replace(LANE, exact_grids=share), 0)
        qpos, qvel = (np.tile(row[0], (4, 1)) for row in (lane.env.reference_qpos, lane.env.reference_qvel))
        seen.append(lane.observer._grid(qpos, qvel))
        torso, quat = (part[0] for part in torso_pose(qpos))
        cells = cell_points_world(GRID, torso, quat)[:, :2]
        exact = torso[2] - mean_heights(GRID, cells, quat, motion.scene.height_at)
        off = np.abs(seen[-1] - exact).max(axis=1)
        assert np.all((off < 1e-5) == [share > 0.0, share > 0.0, False, False])


def test_one_who_goes_on_may_keep_the_grid_of_before(folder, tmp_path):
    """What is seen, learnt, mirrored and exported is then by that grid, and a walker of it begins as it was."""
    points = HeightGridSpec()
    config = replace(CONFIG, steps=5, lane=replace(CONFIG.lane, grid=points))
    motion = load_motion(folder / "motions", "kerb_0000")
    default = motion.clip.joint_pos[0]
    earlier = Student(observation_size(points), 23, config.hidden)
    contract = walking_contract("earlier", default, motion.gait.step_s, {}, points)
    assert contract.height_grid == points and contract.observation_size == observation_size(points)
    export_policy(earlier, contract, np.ones(contract.observation_size), tmp_path / "earlier.onnx")
    teacher = LqrTeacher(np.zeros((motion.clip.num_frames, 23, 59)))
    school = School({"kerb_0000": (motion, teacher)}, default, config)
    school.take(tmp_path / "earlier.onnx")
    for name, value in earlier.state_dict().items():
        torch.testing.assert_close(school.student.state_dict()[name], value)
    school.round(0, fresh=False)
    lane = make_lane(motion, None, default, replace(LANE, grid=points, exact_grids=1.0), 0)
    seen = lane.observe()
    assert seen.shape == (4, contract.observation_size)
    torso, quat = torso_pose(lane.env.physics.qpos)
    cells = cell_points_world(points, torso, quat)[..., :2]
    heights = torso[:, 2, None] - motion.scene.height_at(cells.reshape(-1, 2)).reshape(cells.shape[:-1])
    np.testing.assert_allclose(seen[:, -points.num_cells :], 2.0 * np.clip(heights, 0.0, 1.3), atol=1e-4)


def test_the_mirror_knows_the_grid():
    """Twice in the mirror is as before, and of the ground only its two sides change places."""
    points = HeightGridSpec(size_x=2, size_y=3)
    seen = np.random.default_rng(0).normal(size=(4, observation_size(points))).astype(np.float32)
    action = np.zeros((4, 23), dtype=np.float32)
    half_mirrored = half_mirroring(points)
    once, _ = half_mirrored(seen.copy(), action)
    twice, _ = half_mirrored(once.copy(), action)
    np.testing.assert_array_equal(once[2:], seen[2:])
    np.testing.assert_array_equal(once[:2, -6:], seen[:2, [-4, -5, -6, -1, -2, -3]])
    np.testing.assert_array_equal(twice, seen)


def test_mirrored_twice_is_the_same():
    for order, sign in (
        mirror.term_table(WALK_TERMS, GRID),
        (mirror.ERROR_ORDER, mirror.ERROR_SIGN),
        (mirror.JOINT_ORDER, mirror.JOINT_SIGN),
    ):
        np.testing.assert_array_equal(order[order], np.arange(len(order)))
        np.testing.assert_array_equal(sign[order] * sign, np.ones(len(order)))


def test_a_walker_goes_over_to_another_pose_exactly():
    """What it sees and says is relative to a pose; with another pose the same targets come of the same state."""
    rng, change = np.random.default_rng(0), np.random.default_rng(1).normal(0.0, 0.1, 23)
    torch.manual_seed(0)
    before = Student(OBSERVATION_SIZE, 23, (16,))
    torch.nn.init.normal_(before.layers[-1].weight)  # type: ignore[arg-type]
    seen = rng.normal(0.0, 1.0, (4, OBSERVATION_SIZE)).astype(np.float32)
    before.normalize(seen)
    after, moved, start = copy.deepcopy(before), seen.copy(), 0
    for term in WALK_TERMS:
        size = term.size * term.history_length
        per_rad = {"joint_pos_rel": term.scale[0], "last_action": term.scale[0] / ACTION_SCALE_RAD}.get(term.name)
        if per_rad:
            moved[:, start : start + size] += np.tile(per_rad * change, term.history_length)
        start += size
    stand_differently(after, change)
    found = act(after, moved, -change) - act(before, seen, np.zeros(23))
    np.testing.assert_allclose(found, 0.0, atol=1e-5)
