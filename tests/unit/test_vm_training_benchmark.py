"""The fixed benchmark: who succeeds, what is measured, what is refused."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import vm_training_cases as cases

from vm_core.errors import VmError
from vm_core.policy_contract import METADATA_KEY, ObservationTerm, PolicyContract
from vm_core.scene_asset import SceneAsset, SceneBox
from vm_training import evaluate, play
from vm_training.benchmark.courses import COURSES, Course, Episode, chosen_courses, user_scene
from vm_training.benchmark.figures import row_of, wilson_interval
from vm_training.benchmark.grids import NoisyGrid, TrueGrid
from vm_training.benchmark.operator import SETTLE_S, SIT_S, UP_S, Operator
from vm_training.benchmark.physics import PHYSICS, build_models
from vm_training.benchmark.robots import Robots
from vm_training.benchmark.runner import refusal, run_course, simple_grid
from vm_training.export import export_policy, joint_fields
from vm_training.mdp.observations import DEFAULT_JOINT_POS
from vm_training.policy_file import PolicyFile
from vm_training.rl.tracking_env import GRID, GRID_TERM
from vm_training.student import Student

TERMS = (
    ObservationTerm("projected_gravity", 3, history_length=2),
    ObservationTerm("velocity_commands", 3),
    ObservationTerm("joint_vel_rel", 23),
    GRID_TERM,
)


def still_contract(**changes) -> PolicyContract:
    """A policy that holds the stand by stiff motors: it stands and never walks."""
    fields = joint_fields(np.asarray(DEFAULT_JOINT_POS))
    stiff = {"kp": (400.0,) * 23, "kd": (10.0,) * 23}
    contract = PolicyContract(
        name="still",
        **{**fields, **stiff},
        action_scale=(0.25,) * 23,
        observation=TERMS,
        action_clip=1.0,
        height_grid=GRID,
        command_limits=((0.0, 0.4), (0.0, 0.0), (-0.4, 0.4)),
    )
    return replace(contract, **changes)


def still_file(out: Path, **changes) -> Path:
    torch.manual_seed(0)
    contract = still_contract(**changes)
    student = Student(contract.observation_size, 23, (8,))
    with torch.no_grad():
        student.layers[-1].weight.zero_()
    export_policy(student, contract, np.ones(contract.observation_size), out)
    return out


@pytest.fixture(scope="module")
def still(tmp_path_factory) -> PolicyFile:
    return PolicyFile.load(still_file(tmp_path_factory.mktemp("policy") / "still.onnx"))


def course(name: str, most_drift_m: float = math.inf, **episode) -> Course:
    values = {"scene": SceneAsset(), "goal_m": 0.0, "speed": 0.0, "time_limit_s": 1.0, **episode}
    return Course(name, lambda index, rng: Episode(**values), most_drift_m)


def run(policy: PolicyFile, where: Course, episodes: int = 2, **options):
    settings = {"seed": 0, "grid": "true", "variant": PHYSICS["time_step"], "threads": 1, "make_grid": simple_grid}
    return run_course(policy, where, episodes, **{**settings, **options})


def test_standing_succeeds_falling_does_not(still):
    assert all(r.success and not r.fell and r.progress == 1.0 for r in run(still, course("stand", 0.2)))
    pushed = run(still, course("push", 0.2, push_at_s=0.1, push_m_s=(3.0, 0.0), time_limit_s=2.0))
    assert all(r.fell and not r.success and 0.2 < r.up_s < 1.9 for r in pushed)
    assert all(len(r.qpos) == pytest.approx(50 * r.up_s, abs=1.5) for r in pushed)


def test_who_never_arrives_has_not_succeeded(still):
    (result,) = run(still, course("walk", goal_m=2.0, speed=0.3), episodes=1)
    assert not result.fell and not result.success and result.progress < 0.1


def test_courses_can_begin_farther_off(still):
    box = SceneBox((1.2, 0.0, 0.05), (0.4, 1.5, 0.05))
    where = course("kerb", scene=SceneAsset(boxes=(box,)), goal_m=2.0, speed=0.3)
    for farther_m in (0.0, 1.5):
        (result,) = run(still, where, episodes=1, farther_m=farther_m)
        assert result.scene.boxes[0].center_world[0] == pytest.approx(1.2 + farther_m)


def test_figures_are_measured(still):
    results = run(still, course("stand", 0.2))
    row = row_of("stand", results, {"seed": 0, "grid": "true", "physics": "time_step"})
    assert row["success"] == 1.0 and row["episodes"] == 2 and row["falls"] == 0 and row["time_to_fall_s"] is None
    assert 0.01 < row["torque_use"] < 0.5 and 0.0 < row["power_w"] < 200.0 and row["joint_limit_share"] == 0.0
    assert row["drift_m"] < 0.05 and row["foot_clearance_m"] is None
    json.dumps(row)


def test_equal_seeds_give_equal_rows_and_physics_differ(still):
    where = course("push", push_at_s=0.1, push_m_s=(0.4, 0.2))
    rows = [row_of("push", run(still, where, **options), {}) for options in ({}, {}, {"variant": PHYSICS["latency"]})]
    assert rows[0] == rows[1]
    assert rows[0] != rows[2]


def test_wilson_s_interval():
    low, high = wilson_interval(98, 100)
    assert (low, high) == (pytest.approx(0.930, abs=1e-3), pytest.approx(0.9945, abs=1e-3))
    assert wilson_interval(0, 10)[0] == 0.0 and wilson_interval(10, 10)[1] == 1.0


# -- courses and the operator ------------------------------------------------------------------------------------------


def test_every_course_can_be_built(still):
    names = [c.name for c in COURSES]
    assert len(set(names)) == len(names) and {"flat", "push", "zero_command", "kerbs", "mixed"} <= set(names)
    for where in COURSES:
        ways = [where.make(i, np.random.default_rng([0, i])) for i in range(3)]
        models = build_models([way.scene for way in ways], still.contract, PHYSICS["nominal"], np.random.default_rng(0))
        assert len(models) == 3
        assert abs(float(ways[0].scene.height_at(np.zeros((1, 2)))[0])) < 1.3
    up, down = (
        chosen_courses((name,))[0].make(0, np.random.default_rng(0)) for name in ("stairs_up_10", "stairs_down_10")
    )
    for way, sign in ((up, 1.0), (down, -1.0)):
        heights = way.scene.height_at(np.array([[0.0, 0.0], [way.goal_m, 0.0]]))
        assert heights[1] - heights[0] == pytest.approx(sign * 0.6)
    with pytest.raises(VmError, match="no course 'moon'; there are flat"):
        chosen_courses(("moon",))


def test_the_operator_steers_back_stops_and_keeps_limits():
    ways = [Episode(SceneAsset(), 2.0, 0.3, 10.0)] * 3
    operator = Operator(ways, np.array([[0.0, 0.25], [0.0, 0.0], [-0.2, 0.2]]))
    position = np.array([[0.5, 0.3, 0.7], [0.5, -0.3, 0.7], [2.1, 0.0, 0.7]])
    assert not operator.command(0.5 * SETTLE_S, position, np.zeros(3)).any()
    command = operator.command(SETTLE_S + 1.0, position, np.zeros(3))
    assert command[0, 2] < 0.0 < command[1, 2] and np.abs(command[:, 2]).max() <= 0.2
    assert command[0, 0] == 0.25 and not command[2].any() and operator.arrived.tolist() == [False, False, True]


def test_sitting_is_backing_letting_go_and_walking_on():
    operator = Operator([Episode(SceneAsset(), 0.5, 0.25, 16.0, seat_m=0.4)], np.array([[-0.5, 0.5]] * 3))
    place = np.array([[0.0, 0.0, 0.72]])
    assert operator.command(3.0, place, np.zeros(1))[0, 0] < 0.0
    on, off, none = np.ones(1), np.zeros(1), np.zeros(1, dtype=bool)
    operator.watch(none, off, 5.0)
    assert operator.command(8.0, place, np.zeros(1))[0, 0] < 0.0
    operator.watch(~none, on, 0.5 * SIT_S)
    assert operator.command(9.0, place, np.zeros(1))[0, 0] < 0.0 and not operator.sat[0]  # held as long as it sits
    operator.watch(~none, on, 0.6 * SIT_S)
    assert operator.sat[0] and not operator.command(11.0, place, np.zeros(1)).any()
    operator.watch(none, off, 0.9 * UP_S)
    assert not operator.command(12.0, place, np.zeros(1)).any()  # until it stands
    operator.watch(none, off, 0.2 * UP_S)
    assert operator.command(15.0, place, np.zeros(1))[0, 0] > 0.0 and not operator.arrived[0]


def test_what_a_policy_cannot_do_is_refused_by_name(still, tmp_path):
    assert "skill 'sit'" in refusal(still, chosen_courses(("sit_stand_35cm",))[0])
    able = PolicyFile.load(still_file(tmp_path / "sits.onnx", training={"skills": ["sit"]}))
    assert refusal(able, chosen_courses(("sit_stand_35cm",))[0]) == ""
    fixed = PolicyFile.load(still_file(tmp_path / "fixed.onnx", command_limits=((0.0, 0.0),) * 3))
    assert "no way ahead" in refusal(fixed, COURSES[0])


# -- grids -------------------------------------------------------------------------------------------------------------


def test_the_grids_show_the_step_ahead(still):
    scene = SceneAsset(boxes=(SceneBox((0.6, 0.0, 0.05), (0.3, 2.0, 0.05)),))
    ways = [Episode(scene, 1.0, 0.3, 5.0)] * 20
    models = build_models([scene] * 20, still.contract, PHYSICS["time_step"], np.random.default_rng(0))
    robots = Robots(still, models, ways, PHYSICS["time_step"], 0, 1)
    true = TrueGrid(robots).heights(robots).reshape(20, 11, 11)
    ahead, behind = true[:, -1], true[:, 0]
    np.testing.assert_allclose(behind - ahead, 0.1, atol=1e-6)
    noisy = NoisyGrid(robots, 0).heights(robots).reshape(20, 11, 11)
    known = noisy != still.contract.height_grid_unknown
    off = np.abs(noisy - true)[known]
    assert 0.0005 < np.median(off) < 0.01 and 0.0 < (off > 0.05).mean() < 0.1
    robots.physics.close()


# -- files -------------------------------------------------------------------------------------------------------------


def test_a_network_for_one_robot_acts_for_many(still):
    seen = np.random.default_rng(0).normal(0.0, 1.0, (5, still.contract.observation_size)).astype(np.float32)
    together = still.act(seen)
    assert together.shape == (5, 23)
    np.testing.assert_allclose(together[3], still.act(seen[3:4])[0], atol=1e-6)


def test_wrong_policy_files_are_one_line(tmp_path):
    with pytest.raises(VmError, match="no such policy file"):
        PolicyFile.load(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(VmError, match="not an ONNX network|no policy contract"):
        PolicyFile.load(tmp_path / "text.onnx")
    path = still_file(tmp_path / "still.onnx")
    model = onnx.load(str(path))
    contract = json.loads(model.metadata_props[0].value)
    contract["golden"]["action"][3] += 0.1
    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(contract)})
    onnx.save(model, str(path))
    with pytest.raises(VmError, match="differs from the golden one"):
        PolicyFile.load(path)


def test_the_command_writes_rows_plot_and_film(tmp_path, monkeypatch, capsys):
    policy = still_file(tmp_path / "still.onnx")
    monkeypatch.setattr(
        evaluate, "chosen_courses", lambda names: [course("stand", 0.2), chosen_courses(("sit_stand_35cm",))[0]]
    )
    filmed = []
    monkeypatch.setattr(evaluate.report, "film_worst", lambda folder, name, *rest: filmed.append(name))
    options = evaluate.Evaluate(
        policy,
        episodes=2,
        grid=("true", "noisy"),
        physics=("time_step",),
        json=tmp_path / "rows.json",
        plot=tmp_path / "plot.png",
        video=tmp_path,
        threads=1,
    )
    evaluate.evaluate(options)
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [(r["name"], r["grid"], r["success"], r["episodes"], r["seed"]) for r in rows] == [
        ("stand", "true", 1.0, 2, 0),
        ("stand", "noisy", 1.0, 2, 0),
    ]
    assert (tmp_path / "plot.png").stat().st_size > 5000 and filmed == ["stand_true_time_step", "stand_noisy_time_step"]
    assert "not run: sit_stand_35cm: its contract names no skill 'sit'" in capsys.readouterr().out


def test_mistakes_on_the_command_line_are_one_line(tmp_path):
    with pytest.raises(VmError, match="no physics 'moon'; there are nominal"):
        evaluate.Evaluate(tmp_path / "a.onnx", physics=("moon",))
    with pytest.raises(VmError, match="expected at least 1"):
        evaluate.Evaluate(tmp_path / "a.onnx", episodes=0)
    with pytest.raises(VmError, match="expected 0 to 10 m"):
        evaluate.Evaluate(tmp_path / "a.onnx", farther_m=-1.0)
    with pytest.raises(VmError, match="expected four numbers"):
        play.read_script("0.3 0 0")
    on_it = SceneAsset(boxes=(SceneBox((0.0, 0.0, 0.1), (0.5, 0.5, 0.1)),))
    with pytest.raises(VmError, match="lies over the start"):
        user_scene("mine", on_it).make(0, np.random.default_rng(0))


def test_the_mapper_s_own_grid_sees_the_step(still):
    """LiDAR, inertial unit and joints in, nothing of the truth: the step ahead is in the grid after standing still."""
    scene = SceneAsset(boxes=(SceneBox((1.2, 0.0, 0.05), (0.9, 1.5, 0.05)),))
    ways = [Episode(scene, 0.0, 0.0, 5.0)]
    models = build_models([scene], still.contract, PHYSICS["time_step"], np.random.default_rng(0))
    robots = Robots(still, models, ways, PHYSICS["time_step"], 0, 1)
    grid = evaluate.make_grid(robots, "estimated", 0)
    robots.act(np.zeros((1, 3)), grid, np.arange(1))
    found, true = grid.heights(robots)[0].reshape(11, 11), TrueGrid(robots).heights(robots)[0].reshape(11, 11)
    known = found != still.contract.height_grid_unknown
    assert known.mean() > 0.2
    assert np.median(np.abs(found - true)[known]) < 0.02
    robots.physics.close()


def test_a_tracker_follows_its_clip_on_its_scene_only(tmp_path):
    clip = cases.standing_clip(60)
    terms = (ObservationTerm("ref_joint_pos_error", 23), ObservationTerm("ref_root_pos_error", 3))
    contract = still_contract(observation=terms, height_grid=None, action_base="reference_target")
    student = Student(26, 23, (8,))
    export_policy(student, contract, np.ones(26), tmp_path / "tracker.onnx", clip)
    tracker = PolicyFile.load(tmp_path / "tracker.onnx")
    assert "follows one clip" in refusal(tracker, COURSES[0]) and refusal(tracker, course("scene mine")) == ""
    assert tracker.reference is not None and len(tracker.reference.joint_pos) == 60
    frame = tracker.reference.at(100, 4)
    assert frame.joint_pos.shape == (4, 23) and not frame.joint_vel.any() and float(frame.phase[0]) == 1.0
    (result,) = run(tracker, course("scene mine"), episodes=1)
    assert result.up_s == pytest.approx(60 * 0.02 + 3.0, abs=0.05) or result.fell
