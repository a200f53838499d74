"""Pictures of the robot in its scene: `vm-render LOG --scene DIR --out MP4`, without a screen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import mujoco
import numpy as np
import tyro
from tqdm import tqdm

from vm_core import g1
from vm_core.atomic_files import atomic_path
from vm_core.command_line import run
from vm_core.errors import VmError
from vm_core.scene_asset import SceneAsset
from vm_sim.g1_model import load_g1_spec
from vm_sim.light_meshes import lighten_meshes
from vm_sim.objects import ObjectSpec, add_object
from vm_sim.robot_log import NUM_QPOS, RobotLog
from vm_sim.terrain import GROUND_GEOM, add_scene

_FOLLOW_S = 0.6  # time constant of the camera behind the robot
_VISUAL_GROUPS = (0, 1, 2)
_EXTENT_M, _NEAR_M = 2.0, 0.4  # size of what is looked at; nearer than this, nothing is drawn


@dataclass(frozen=True)
class RenderConfig:
    """How the picture looks.

    Attributes:
        width: of the picture, even [px].
        height: of the picture, even [px].
        fps: frames a second.
        azimuth_deg: direction of the camera's look about z.
        elevation_deg: of the camera's look, negative from above.
        distance_m: of the camera from the robot.
    """

    width: int = 640
    height: int = 480
    fps: float = 25.0
    azimuth_deg: float = 125.0
    elevation_deg: float = -14.0
    distance_m: float = 3.0

    def __post_init__(self) -> None:
        if min(self.width, self.height) < 16 or self.width % 2 or self.height % 2:
            raise VmError(f"picture of {self.width}x{self.height} pixels; expected even numbers from 16")
        if not 0.0 < self.fps <= 120.0 or self.distance_m <= 0.0:
            raise VmError(f"fps {self.fps} and distance {self.distance_m} m must be above 0 (fps at most 120)")


@dataclass(frozen=True)
class RenderCommand:
    """Turns a robot log into a video.

    Attributes:
        log: robot log (.npz) of vm-sim.
        scene: scene folder.
        out: video to be written (.mp4, H.264).
        picture: how it looks.
    """

    log: tyro.conf.Positional[Path]
    scene: Path
    out: Path
    picture: RenderConfig = RenderConfig()


def render_frames(
    qpos: np.ndarray, scene: SceneAsset, config: RenderConfig, thing: ObjectSpec | None = None
) -> Iterator[np.ndarray]:
    """Pictures (height, width, 3) uint8 of configurations 1 / config.fps apart: (T, 36), or (T, 43) with an object."""
    model = build_visual_model(scene, config, lambda spec: None if thing is None else add_object(spec, thing))
    data = mujoco.MjData(model)
    camera = _camera(config)
    options = mujoco.MjvOption()
    options.geomgroup[:] = [group in _VISUAL_GROUPS for group in range(len(options.geomgroup))]
    targets = _smoothed(qpos[:, :3], config.fps)
    with mujoco.Renderer(model, config.height, config.width) as renderer:
        renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = True
        renderer.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
        for frame, target in zip(qpos, targets, strict=True):
            data.qpos[:] = frame
            mujoco.mj_kinematics(model, data)
            mujoco.mj_camlight(model, data)
            camera.lookat[:] = target
            renderer.update_scene(data, camera, options)
            yield renderer.render()


def write_video(path: Path, frames: Iterator[np.ndarray], fps: float, count: int, label: str = "video") -> None:
    """Encodes pictures as H.264 that any browser plays; the file appears whole or not at all."""
    with atomic_path(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        stream = None
        for picture in tqdm(frames, total=count, desc=label, unit="frame", leave=False):
            if stream is None:
                stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1000))
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt, stream.options = "yuv420p", {"crf": "23", "preset": "veryfast", "threads": "1"}
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        if stream is not None:
            container.mux(stream.encode())


def render_video(
    time_s: np.ndarray,
    qpos: np.ndarray,
    scene: SceneAsset,
    out: Path,
    config: RenderConfig,
    thing: ObjectSpec | None = None,
) -> None:
    """Renders configurations qpos (T, 36), or (T, 43) with an object, at rising times (T,) [s] into an mp4.

    Raises:
        VmError: wrong shapes, or an output that is no .mp4.
    """
    if out.suffix != ".mp4":
        raise VmError(f"{out}: expected a name that ends in .mp4")
    columns = NUM_QPOS + (7 if thing is not None else 0)
    if qpos.ndim != 2 or qpos.shape != (len(time_s), columns) or not len(qpos):
        raise VmError(f"configurations of shape {qpos.shape} at {len(time_s)} times; expected (T, {columns})")
    wanted = np.arange(time_s[0], time_s[-1] + 1e-9, 1.0 / config.fps)
    picks = np.minimum(np.searchsorted(time_s, wanted - 1e-6), len(time_s) - 1)
    write_video(out, render_frames(qpos[picks], scene, config, thing), config.fps, len(picks), "render")


def build_visual_model(
    scene: SceneAsset, config: RenderConfig, change: Callable[[mujoco.MjSpec], None] = lambda spec: None
) -> mujoco.MjModel:
    """The G1 with lightened visual meshes, the scene, a sky and a light; `change` adds to it before it is compiled."""
    spec = load_g1_spec(collision="spheres", meshes=True)
    lighten_meshes(spec)
    add_scene(spec, scene)
    _dress(spec)
    spec.visual.global_.offwidth, spec.visual.global_.offheight = config.width, config.height
    change(spec)
    return spec.compile()


def _dress(spec: mujoco.MjSpec) -> None:
    sky = {"type": mujoco.mjtTexture.mjTEXTURE_SKYBOX, "builtin": mujoco.mjtBuiltin.mjBUILTIN_GRADIENT}
    spec.add_texture(name="sky", rgb1=[0.86, 0.91, 0.96], rgb2=[0.55, 0.66, 0.78], width=64, height=384, **sky)
    checker = {"type": mujoco.mjtTexture.mjTEXTURE_2D, "builtin": mujoco.mjtBuiltin.mjBUILTIN_CHECKER}
    spec.add_texture(name="tiles", rgb1=[0.66, 0.67, 0.65], rgb2=[0.58, 0.59, 0.58], width=256, height=256, **checker)
    tiles = spec.add_material(name="tiles", texrepeat=[1.0, 1.0], texuniform=True, reflectance=0.0)
    tiles.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "tiles"
    spec.geom(GROUND_GEOM).material = "tiles"
    spec.geom(GROUND_GEOM).rgba = [1.0, 1.0, 1.0, 1.0]
    for light in list(spec.lights):
        spec.delete(light)
    sun = {"type": mujoco.mjtLightType.mjLIGHT_DIRECTIONAL, "diffuse": [0.3] * 3, "specular": [0.05] * 3}
    spec.worldbody.add_light(name="sun", pos=[0.0, 0.0, 6.0], dir=[0.35, 0.45, -1.0], castshadow=False, **sun)
    # the shadow comes from a lamp that goes with the robot: a directional light's shadow map covers the endless ground
    # so coarsely that surfaces shade themselves
    lamp = {"type": mujoco.mjtLightType.mjLIGHT_SPOT, "diffuse": [0.4] * 3, "specular": [0.05] * 3}
    body = spec.body(g1.PELVIS_BODY)
    mode, attenuation = mujoco.mjtCamLight.mjCAMLIGHT_TRACK, [1.0, 0.0, 0.0]
    body.add_light(
        name="lamp", pos=[-1.2, -1.6, 4.0], dir=[0.3, 0.4, -1.0], castshadow=True, cutoff=60.0, exponent=1.0,
        mode=mode, attenuation=attenuation, **lamp,
    )  # fmt: skip
    spec.visual.headlight.ambient = [0.38, 0.38, 0.40]
    spec.visual.headlight.diffuse = [0.25, 0.25, 0.25]
    spec.visual.headlight.specular = [0.05, 0.05, 0.05]
    spec.visual.quality.shadowsize = 1024
    # The near plane also bounds the lamp's shadow map: too near, and depth near the ground is so coarse that shadows
    # come off the feet and the robot seems to float.
    spec.stat.extent = _EXTENT_M
    spec.visual.map.znear = _NEAR_M / _EXTENT_M


def _camera(config: RenderConfig) -> mujoco.MjvCamera:
    camera = mujoco.MjvCamera()
    camera.type = mujoco.mjtCamera.mjCAMERA_FREE
    camera.azimuth, camera.elevation, camera.distance = config.azimuth_deg, config.elevation_deg, config.distance_m
    return camera


def _smoothed(positions: np.ndarray, fps: float) -> np.ndarray:
    """Positions (T, 3) filtered forwards and backwards, so that the camera neither shakes nor lags."""
    share = 1.0 - np.exp(-1.0 / (fps * _FOLLOW_S))
    result = positions.copy()
    for order in (1, -1):
        view = result[::order]
        for i in range(1, len(view)):
            view[i] = view[i - 1] + share * (view[i] - view[i - 1])
    return result


def _main() -> None:
    command = tyro.cli(RenderCommand, description=RenderCommand.__doc__)
    log, scene = RobotLog.load(command.log), SceneAsset.load(command.scene)
    render_video(log.time_s, log.qpos, scene, command.out, command.picture, log.thing)
    print(command.out)


def main() -> None:
    """Entry point of `vm-render`."""
    run(_main)


if __name__ == "__main__":
    main()
