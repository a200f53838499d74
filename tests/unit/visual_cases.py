"""A visual policy of two small linear networks, written into a folder, and depth pictures for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
from onnx import TensorProto, helper, numpy_helper

from vm_core import g1
from vm_core.depth_image import DepthSpec
from vm_core.keypoint_command import CommandStatistics
from vm_core.policy_contract import METADATA_KEY, GoldenPair, ObservationTerm, PolicyContract
from vm_core.scene_asset import SceneAsset
from vm_core.visual_bundle import (
    GENERATOR_FILE,
    GENERATOR_KEY,
    TRACKER_FILE,
    GeneratorContract,
    GoldenCommand,
    fingerprint,
)
from vm_policy_node.start_pose import LEAN_GAIN, LEAN_RATE_GAIN_S, STAND_KD, STAND_KP
from vm_policy_node.visual.depth_input import RawPicture
from vm_sim.depth_shapes import DepthCamera
from vm_sim.depth_thread import D435I
from vm_sim.objects import find_object_scene
from vm_sim.robot import build_model

JOINTS = g1.POLICY_JOINT_NAMES
POSE = g1.DEFAULT_STAND_POSE[[g1.motor_index(name) for name in JOINTS]]
SPEC = DepthSpec()
TRACKER_TERMS = (
    ObservationTerm("projected_gravity", 3),
    ObservationTerm("base_ang_vel", 3),
    ObservationTerm("joint_pos_rel", 23, history_length=2),
    ObservationTerm("keypoint_command", 18, history_length=2),
)
GENERATOR_TERMS = (
    ObservationTerm("task_heading", 2),
    ObservationTerm("last_keypoint_command", 18, history_length=3),
    ObservationTerm("last_action", 23),
    ObservationTerm("run", 1),
)
_SCALE_RAD = 0.1
TASK = "push_box"
INFO = (D435I.width, D435I.height, D435I.focal_px, D435I.focal_px, 0.5 * D435I.width, 0.5 * D435I.height)


def _size(terms: tuple[ObservationTerm, ...]) -> int:
    return sum(term.size * term.history_length for term in terms)


def _gains(usual: np.ndarray, least: dict[str, float]) -> tuple[float, ...]:
    """At least those with which the node itself stands."""
    keys = [name.removesuffix("_joint").removeprefix("left_").removeprefix("right_") for name in JOINTS]
    return tuple(max(float(usual[g1.motor_index(n)]), least.get(key, 0.0)) for n, key in zip(JOINTS, keys, strict=True))


def tracker_bytes(scale: float = 0.02, **changes) -> bytes:
    """A tracker that follows the command a little and stands by its ankles; it only stands if `scale` is 0."""
    rng = np.random.default_rng(0)
    weights = (scale * rng.normal(0.0, 1.0, (_size(TRACKER_TERMS), 23))).astype(np.float32)
    ankles = [JOINTS.index(f"{side}_ankle_pitch_joint") for side in ("left", "right")]
    weights[0, ankles], weights[4, ankles] = LEAN_GAIN / _SCALE_RAD, LEAN_RATE_GAIN_S / _SCALE_RAD
    seen = np.linspace(-1.0, 1.0, len(weights)).astype(np.float32)
    values = {
        "name": "tracker",
        "joint_names": JOINTS,
        "default_joint_pos": tuple(POSE.tolist()),
        "action_scale": (_SCALE_RAD,) * 23,
        "kp": _gains(g1.MJLAB_KP, STAND_KP),
        "kd": _gains(g1.MJLAB_KD, STAND_KD),
        "observation": TRACKER_TERMS,
        "held_joints": dict.fromkeys(g1.WRIST_JOINT_NAMES, (0.0, 20.0, 1.0)),
        "golden": GoldenPair(tuple(seen.tolist()), tuple((seen @ weights).tolist())),
        "command_statistics": CommandStatistics((0.0,) * 18, (0.05,) * 18),
    }
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["observation", "w"], ["action"])],
        "tracker",
        [helper.make_tensor_value_info("observation", TensorProto.FLOAT, [1, len(weights)])],
        [helper.make_tensor_value_info("action", TensorProto.FLOAT, [1, 23])],
        [numpy_helper.from_array(weights, "w")],
    )
    return _bytes(graph, {METADATA_KEY: PolicyContract(**(values | changes)).to_json()})


def generator_bytes(tracker: bytes, *, inputs: tuple[str, str] = ("depth", "observation"), **changes) -> bytes:
    """command = mean depth of the picture on root_x + 0.01 × run on root_y + other terms × 0.001."""
    size, pixels = _size(GENERATOR_TERMS), SPEC.height * SPEC.width
    looks = np.zeros((pixels, 18), dtype=np.float32)
    looks[:, 0] = 0.1 / pixels
    knows = np.full((size, 18), 1e-4, dtype=np.float32)
    knows[-1, 1] = 0.01
    depth, seen = np.linspace(-0.5, 0.5, pixels).astype(np.float32), np.linspace(-1.0, 1.0, size).astype(np.float32)
    values = {
        "name": "tiny push",
        "task": TASK,
        "tracker": fingerprint(tracker),
        "joint_names": JOINTS,
        "default_joint_pos": tuple(POSE.tolist()),
        "observation": GENERATOR_TERMS,
        "depth": SPEC,
        "golden": GoldenCommand(
            tuple(depth.tolist()), tuple(seen.tolist()), tuple((depth @ looks + seen @ knows).tolist())
        ),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", [inputs[0]], ["flat"]),
            helper.make_node("MatMul", ["flat", "looks"], ["a"]),
            helper.make_node("MatMul", [inputs[1], "knows"], ["b"]),
            helper.make_node("Add", ["a", "b"], ["command"]),
        ],
        "generator",
        [
            helper.make_tensor_value_info(inputs[0], TensorProto.FLOAT, [1, SPEC.height, SPEC.width]),
            helper.make_tensor_value_info(inputs[1], TensorProto.FLOAT, [1, size]),
        ],
        [helper.make_tensor_value_info("command", TensorProto.FLOAT, [1, 18])],
        [numpy_helper.from_array(looks, "looks"), numpy_helper.from_array(knows, "knows")],
    )
    return _bytes(graph, {GENERATOR_KEY: GeneratorContract(**(values | changes)).to_json()})


def write_bundle(folder: Path, tracker: bytes | None = None, generator: bytes | None = None) -> Path:
    """A folder with both networks."""
    folder.mkdir(exist_ok=True)
    tracker = tracker_bytes() if tracker is None else tracker
    (folder / TRACKER_FILE).write_bytes(tracker)
    (folder / GENERATOR_FILE).write_bytes(generator_bytes(tracker) if generator is None else generator)
    return folder


def _bytes(graph, metadata: dict[str, str]) -> bytes:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    helper.set_model_props(model, metadata)
    return model.SerializeToString()


class View:
    """What the simulated robot's D435i sees of a task's object while it stands, without noise."""

    def __init__(self, task: str = TASK, *, tilt_rad: float | None = None) -> None:
        thing = find_object_scene(task).thing
        self.model = build_model(SceneAsset(boxes=find_object_scene(task).furniture), thing=thing)
        spec = D435I if tilt_rad is None else replace(D435I, tilt_rad=tilt_rad)
        self._camera = DepthCamera([self.model], spec)
        self.qpos = self.model.qpos0.copy()
        self.qpos[2], self.qpos[7 : 7 + g1.NUM_MOTORS] = g1.STAND_PELVIS_HEIGHT_M, g1.DEFAULT_STAND_POSE
        data = mujoco.MjData(self.model)
        data.qpos[:] = self.qpos
        mujoco.mj_kinematics(self.model, data)
        soles = [i for i in range(self.model.ngeom) if "_sole" in self.model.geom(i).name]
        self.qpos[2] -= float(data.geom_xpos[soles, 2].min()) - g1.SOLE_SPHERE_RADIUS_M

    def picture(self, *, empty: bool = False, qpos: np.ndarray | None = None) -> np.ndarray:
        """(240, 424) uint16 [mm]."""
        shown = (self.qpos if qpos is None else qpos).copy()
        if empty:
            shown[36:39] = (0.0, 0.0, -50.0)
        return np.rint(1000.0 * self._camera.render(shown[None])[0]).astype(np.uint16)


def raw(picture: np.ndarray) -> RawPicture:
    """An Image message of a picture [mm]."""
    height, width = picture.shape
    return RawPicture(width, height, "16UC1", 2 * width, False, picture.astype("<u2").tobytes())
