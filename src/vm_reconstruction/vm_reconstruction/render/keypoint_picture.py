"""The keypoints of the command, drawn on the robot: `vm-draw-keypoints --out docs/keypoints.jpg`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import mujoco
import numpy as np
import tyro

from vm_core import g1
from vm_core.atomic_files import atomic_path
from vm_core.command_line import run
from vm_core.errors import VmError
from vm_core.keypoint_command import KEYPOINT_NAMES, keypoints_of_joints
from vm_core.scene_asset import SceneAsset
from vm_sim.g1_model import stand_qpos
from vm_sim.render import RenderConfig, build_visual_model

_SIZE = RenderConfig(width=560, height=720)
_FOV_DEG = 45.0
_COLOR = (40, 70, 230)  # BGR
_EYE, _LOOK_AT = np.array([2.0, 1.0, 1.15]), np.array([0.0, 0.0, 0.68])


@dataclass(frozen=True)
class DrawKeypoints:
    """Draws root and keypoints on the standing robot.

    Attributes:
        out: picture to be written (.jpg or .png).
    """

    out: Path


def keypoint_picture() -> np.ndarray:
    """The standing robot with its root and five keypoints named, (720, 560, 3) uint8 BGR."""
    right, up, back = _camera_axes()

    def add(spec: mujoco.MjSpec) -> None:
        spec.worldbody.add_camera(name="look", pos=_EYE, xyaxes=[*right, *up], fovy=_FOV_DEG)

    model = build_visual_model(SceneAsset(), _SIZE, add)
    data = mujoco.MjData(model)
    data.qpos[:] = stand_qpos(model)
    mujoco.mj_forward(model, data)
    with mujoco.Renderer(model, _SIZE.height, _SIZE.width) as renderer:
        renderer.update_scene(data, "look")
        picture = np.ascontiguousarray(renderer.render()[..., ::-1])
    points = np.vstack([data.qpos[:3], keypoints_of_joints(data.qpos[:3], data.qpos[3:7], data.qpos[7:])])
    focal = 0.5 * _SIZE.height / np.tan(np.radians(0.5 * _FOV_DEG))
    for name, point in zip(("root", *KEYPOINT_NAMES), points, strict=True):
        seen = point - _EYE
        x = 0.5 * _SIZE.width + focal * (seen @ right) / -(seen @ back)
        y = 0.5 * _SIZE.height - focal * (seen @ up) / -(seen @ back)
        _label(picture, f"{name} ({g1.PELVIS_BODY})" if name == "root" else name, (round(x), round(y)))
    return picture


def _camera_axes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    back = (_EYE - _LOOK_AT) / np.linalg.norm(_EYE - _LOOK_AT)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    return right, np.cross(back, right), back


def _label(picture: np.ndarray, text: str, at: tuple[int, int]) -> None:
    cv2.circle(picture, at, 7, (255, 255, 255), -1, cv2.LINE_AA)
    cv2.circle(picture, at, 5, _COLOR, -1, cv2.LINE_AA)
    right = at[0] + 14
    cv2.putText(picture, text, (right, at[1] + 5), cv2.FONT_HERSHEY_SIMPLEX, 0.5, _COLOR, 1, cv2.LINE_AA)


def _main() -> None:
    command = tyro.cli(DrawKeypoints, description=DrawKeypoints.__doc__)
    if command.out.suffix not in (".jpg", ".png"):
        raise VmError(f"{command.out}: expected a name that ends in .jpg or .png")
    with atomic_path(command.out) as temporary:
        done, data = cv2.imencode(command.out.suffix, keypoint_picture(), [cv2.IMWRITE_JPEG_QUALITY, 80])
        assert done
        temporary.write_bytes(data.tobytes())
    print(command.out)


def main() -> None:
    """Entry point of `vm-draw-keypoints`."""
    run(_main)


if __name__ == "__main__":
    main()
