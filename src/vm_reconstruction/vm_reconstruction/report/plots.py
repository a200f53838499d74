"""The report's drawings: top view, side view, contacts and heights over time; inline SVG."""

from __future__ import annotations

import io

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from vm_core.scene_asset import SceneAsset, SceneBox
from vm_reconstruction.human_motion import PARENTS, HumanMotion
from vm_reconstruction.render.overlay import box_corners

SIDE_COLOR = {"left": "#e08a1e", "right": "#2f7fd0", "": "#555555"}
BOX_STYLE = {"facecolor": "#e9dfc3", "edgecolor": "#9a8440", "linewidth": 1.0}
STICK_FIGURES = 9
plt.rcParams["svg.hashsalt"] = "vm_reconstruction"  # else the ids differ from run to run
plt.rcParams["font.size"] = 9


def travel_direction(motion: HumanMotion) -> np.ndarray:
    """Unit vector (2,) of the longest extent of the pelvis' path, pointing from start to end."""
    path = motion.joint("pelvis")[:, :2]
    _, _, axes = np.linalg.svd(path - path.mean(axis=0), full_matrices=False)
    way = axes[0] if np.dot(axes[0], path[-1] - path[0]) >= 0 else -axes[0]
    return way / np.linalg.norm(way)


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _side(joint: str) -> str:
    return next((side for side in ("left", "right") if joint.startswith(side)), "")


def _feet(motion: HumanMotion, side: str) -> tuple[np.ndarray, np.ndarray]:
    """Middle of the sole (T, 3) [m] and whether it rests (T,)."""
    sole = 0.5 * (motion.joint(f"{side}_heel") + motion.joint(f"{side}_toe"))
    return sole, motion.contact[:, motion.contact_names.index(f"{side}_foot")] > 0.5


def top_view(motion: HumanMotion, scene: SceneAsset | None) -> str:
    """Seen from above, x to the right in the direction of travel: boxes, pelvis path, where feet rest."""
    way = travel_direction(motion)
    turn = np.stack([way, [-way[1], way[0]]])
    figure, axes = plt.subplots(figsize=(6.2, 3.4))
    for box in scene.boxes if scene else ():
        corners = box_corners(box)[[1, 3, 7, 5], :2] @ turn.T
        axes.add_patch(Polygon(corners, **BOX_STYLE))
    for side in ("left", "right"):
        sole, rests = _feet(motion, side)
        path, color = sole[:, :2] @ turn.T, SIDE_COLOR[side]
        axes.plot(*path.T, color=color, linewidth=0.6, alpha=0.5)
        axes.plot(*path[rests].T, "s", color=color, markersize=3, label=f"{side} foot at rest")
    axes.plot(*(motion.joint("pelvis")[:, :2] @ turn.T).T, color="black", linewidth=1.2, label="pelvis")
    _equal(axes, "along the way [m]", "to the left [m]")
    return _svg(figure)


def side_view(motion: HumanMotion, scene: SceneAsset | None) -> str:
    """Seen from the right of the way: box profiles, stick figures at even times, pelvis path."""
    way = travel_direction(motion)
    figure, axes = plt.subplots(figsize=(6.2, 3.9))
    for box in sorted(scene.boxes, key=lambda b: -b.top) if scene else ():
        axes.add_patch(Polygon(_profile(box, way), **BOX_STYLE))
    if scene:
        reach = motion.joint("pelvis")[:, :2] @ way
        ends = np.outer([reach.min() - 0.6, reach.max() + 0.6], way)
        axes.plot(ends @ way, scene.ground_height_at(ends), color="#777755", linewidth=1.5)
    for frame in np.linspace(0, motion.num_frames - 1, min(STICK_FIGURES, motion.num_frames)).astype(int):
        points = motion.joint_pos_world[frame]
        for joint, parent in enumerate(PARENTS):
            if parent >= 0:
                pair = points[[joint, parent]]
                color = SIDE_COLOR[_side(motion.joint_names[joint])]
                axes.plot(pair[:, :2] @ way, pair[:, 2], color=color, linewidth=1.1, alpha=0.8)
    pelvis = motion.joint("pelvis")
    axes.plot(pelvis[:, :2] @ way, pelvis[:, 2], color="black", linewidth=1.2, label="pelvis")
    _equal(axes, "along the way [m]", "height [m]")
    return _svg(figure)


def _profile(box: SceneBox, way: np.ndarray) -> np.ndarray:
    along = box_corners(box)[:, :2] @ way
    low, high, bottom = along.min(), along.max(), box.top - 2 * box.half_size[2]
    return np.array([(low, bottom), (high, bottom), (high, box.top), (low, box.top)])


def _equal(axes: Axes, x_label: str, y_label: str) -> None:
    axes.set_aspect("equal")
    axes.autoscale_view()
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=7, loc="best")


def contacts_over_time(motion: HumanMotion) -> str:
    """One bar a contact, filled while it holds; below, how surely the person was seen."""
    time_s = np.arange(motion.num_frames) / motion.fps
    figure, axes = plt.subplots(figsize=(6.2, 1.7))
    for row, name in enumerate(motion.contact_names):
        axes.fill_between(
            time_s, row, row + 0.8 * motion.contact[:, row], step="mid", color=SIDE_COLOR[_side(name)], linewidth=0
        )
    count = len(motion.contact_names)
    axes.fill_between(time_s, count, count + 0.8 * motion.confidence, color="#88aa88", linewidth=0)
    axes.set_yticks(np.arange(count + 1) + 0.4, [n.replace("_", " ") for n in motion.contact_names] + ["seen"])
    axes.set_xlabel("time [s]")
    axes.set_xlim(0, time_s[-1] if len(time_s) > 1 else 1)
    axes.invert_yaxis()
    return _svg(figure)


def heights_over_time(motion: HumanMotion, scene: SceneAsset | None) -> str:
    """Heights of pelvis, knees and soles above the world's zero, with the tops of the boxes."""
    time_s = np.arange(motion.num_frames) / motion.fps
    figure, axes = plt.subplots(figsize=(6.2, 3.0))
    for box in scene.boxes if scene else ():
        axes.axhspan(box.top - box.height_std_m, box.top + box.height_std_m, color="#e9dfc3")
        axes.axhline(box.top, color="#9a8440", linewidth=0.8)
        axes.annotate(box.label, (time_s[-1], box.top), fontsize=7, va="bottom", ha="right")
    axes.plot(time_s, motion.joint("pelvis")[:, 2], color="black", linewidth=1.3, label="pelvis")
    for side in ("left", "right"):
        color = SIDE_COLOR[side]
        axes.plot(time_s, motion.joint(f"{side}_knee")[:, 2], ":", color=color, linewidth=1.0, label=f"{side} knee")
        axes.plot(time_s, _feet(motion, side)[0][:, 2], color=color, linewidth=1.2, label=f"{side} sole")
    axes.set_xlabel("time [s]")
    axes.set_ylabel("height [m]")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=7, ncols=3, loc="best")
    return _svg(figure)
