"""Makes `body.npz`, the demo's person, from the body model Anny (Apache-2.0; mesh and shapes CC0).

The result is committed, so the demo video can be made again without torch and without Anny's 830 MB cache.
Run: `python -m vm_reconstruction.demo.body_from_anny` (needs `pip install anny==0.6.2`; the first run takes minutes).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from vm_core.atomic_files import atomic_path

BODY_FILE = Path(__file__).with_name("body.npz")
PHENOTYPE = {"gender": 0.8, "age": 0.667, "muscle": 0.55, "weight": 0.45, "height": 0.42}
WEIGHTS_PER_VERTEX = 4
# First match wins; side suffix .L/.R of Anny's bones becomes the prefix left_/right_.
SEGMENT_OF_BONE = (
    ("upperleg", "thigh"), ("lowerleg", "shin"), ("foot", "foot"), ("toe", "toes"), ("pelvis", "pelvis"),
    ("root", "pelvis"), ("spine05", "pelvis"), ("spine04", "spine"), ("spine03", "spine"), ("spine", "chest"),
    ("clavicle", "chest"), ("shoulder", "chest"), ("upperarm", "upper_arm"), ("lowerarm", "forearm"),
    ("wrist", "hand"), ("finger", "hand"), ("metacarpal", "hand"), ("neck", "neck"), ("head", "head"), ("eye", "head"),
)  # fmt: skip
CENTRAL = {"pelvis", "spine", "chest", "neck", "head"}
BONE_OF_JOINT = {
    "hip": "upperleg01", "knee": "lowerleg01", "ankle": "foot", "ball": "toe2-1",
    "shoulder": "upperarm01", "elbow": "lowerarm01", "wrist": "wrist",
}  # fmt: skip


def segment_name(bone: str) -> str:
    """Body segment that carries an Anny bone, e.g. `upperleg01.L` -> `left_thigh`."""
    segment = next(name for prefix, name in SEGMENT_OF_BONE if bone.startswith(prefix))
    side = {".L": "left_", ".R": "right_"}.get(bone[-2:], "")
    return segment if segment in CENTRAL else side + segment


def _joints(bone_heads: dict[str, np.ndarray], keypoints: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    joints = {"spine": bone_heads["spine03"], "chest": bone_heads["spine01"], "neck": bone_heads["neck01"]}
    for side, suffix in (("left", ".L"), ("right", ".R")):
        joints |= {f"{side}_{joint}": bone_heads[bone + suffix] for joint, bone in BONE_OF_JOINT.items()}
        joints |= {f"{side}_toe": keypoints[f"{side}_big_toe"], f"{side}_heel": keypoints[f"{side}_heel"]}
    joints["pelvis"] = 0.5 * (joints["left_hip"] + joints["right_hip"])
    joints["head"] = 0.5 * (keypoints["left_ear"] + keypoints["right_ear"])
    return joints


def rest_body(model: Any, regressor: Any, phenotype: dict[str, float]) -> dict[str, Any]:
    """One phenotype in its rest pose, 1 m tall, sole at z = 0, x forward, y left: vertices (V, 3) and joints (J, 3)."""
    rest = model(phenotype_kwargs=phenotype)
    keypoints = regressor({"vertices": rest["rest_vertices"]})[0].detach().numpy()
    vertices = rest["rest_vertices"][0].detach().numpy()
    heads = rest["rest_bone_poses"][0, :, :3, 3].detach().numpy()
    joints = _joints(
        dict(zip(model.bone_labels, heads, strict=True)), dict(zip(regressor.labels, keypoints, strict=True))
    )
    floor, height = vertices[:, 2].min(), np.ptp(vertices[:, 2])

    def upright(points: np.ndarray) -> np.ndarray:  # Anny: x left, y backward, z up
        shifted = points - np.array([0.0, 0.0, floor])
        return (np.stack([-shifted[..., 1], shifted[..., 0], shifted[..., 2]], axis=-1) / height).astype(np.float32)

    return {
        "vertices": upright(vertices),
        "joint_names": np.array(list(joints)),
        "joint_pos": upright(np.array(list(joints.values()))),
    }


def skin_of(model: Any) -> dict[str, Any]:
    """What all phenotypes share: faces, segments, and each vertex' strongest weights."""
    segments = sorted({segment_name(bone) for bone in model.bone_labels})
    of_bone = np.array([segments.index(segment_name(bone)) for bone in model.bone_labels])
    indices = of_bone[model.vertex_bone_indices.numpy()]
    weights = np.zeros((len(indices), len(segments)))
    np.add.at(weights, (np.arange(len(indices))[:, None], indices), model.vertex_bone_weights.numpy())
    order = np.argsort(-weights, axis=1)[:, :WEIGHTS_PER_VERTEX]
    kept = np.take_along_axis(weights, order, axis=1)
    return {
        "faces": model.get_triangular_faces().numpy().astype(np.uint16),
        "segments": np.array(segments),
        "segment_index": order.astype(np.uint8),
        "segment_weight": (kept / kept.sum(axis=1, keepdims=True)).astype(np.float16),
    }


def main() -> None:
    """Builds the demo's body."""
    import anny  # heavy and optional: only this command needs it

    model = anny.Anny()
    body = rest_body(model, anny.KeypointsRegressor.coco(model), PHENOTYPE)
    with atomic_path(BODY_FILE) as path:
        np.savez_compressed(path, **body, **skin_of(model))
    print(f"{BODY_FILE}: {len(body['vertices'])} vertices, {BODY_FILE.stat().st_size // 1024} kB")


if __name__ == "__main__":
    main()
