"""What is exactly known about one synthetic video, as files: truth.npz, depth.npz, mesh.ply in a folder `truth`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh

from vm_core.errors import VmError
from vm_reconstruction.datasets.synthetic.scenes import TrueScene
from vm_reconstruction.human_motion import HumanMotion

FOLDER, TRUTH_FILE, DEPTH_FILE, MESH_FILE = "truth", "truth.npz", "depth.npz", "mesh.ply"


@dataclass(frozen=True)
class VideoTruth:
    """The truth of one video.

    Attributes:
        people: one motion each, all of T frames [world].
        matrix: (3, 3) intrinsics [px] of the picture of `size` (width, height).
        T_world_camera: (T, 4, 4), camera x right, y down, z forward [m].
        scene: geometry.
        depth: (T, h, w) float16 along the optical axis [m], smaller than the picture; 0 where nothing is.
        mask: (T, h, w) uint8, 0 nobody, k the k-th person.
    """

    people: list[HumanMotion]
    matrix: np.ndarray
    size: tuple[int, int]
    T_world_camera: np.ndarray
    scene: TrueScene
    depth: np.ndarray
    mask: np.ndarray

    @property
    def depth_matrix(self) -> np.ndarray:
        """(3, 3) intrinsics [px] of the depth picture."""
        return np.diag([self.depth.shape[2] / self.size[0], self.depth.shape[1] / self.size[1], 1.0]) @ self.matrix

    def save(self, video_folder: Path) -> None:
        """Writes VIDEO/truth and one `person_K.npz` (HumanMotion) each."""
        folder = video_folder / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        for k, person in enumerate(self.people):
            person.save(folder / f"person_{k + 1}.npz")
        np.savez_compressed(
            folder / TRUTH_FILE, people=len(self.people), matrix=self.matrix, size=np.array(self.size),
            T_world_camera=self.T_world_camera, scene=np.array(json.dumps(self.scene.to_dict())),
        )  # fmt: skip
        np.savez_compressed(folder / DEPTH_FILE, depth=self.depth, mask=self.mask)
        vertices, faces = self.scene.mesh()
        trimesh.Trimesh(vertices, faces, process=False).export(folder / MESH_FILE)

    @classmethod
    def load(cls, video_folder: Path) -> VideoTruth:
        """Reads VIDEO/truth.

        Raises:
            VmError: there is none.
        """
        folder = video_folder / FOLDER
        if not (folder / TRUTH_FILE).is_file() or not (folder / DEPTH_FILE).is_file():
            raise VmError(f"{video_folder} has no {FOLDER}/{TRUTH_FILE}; expected a video of vm-make-dataset")
        with np.load(folder / TRUTH_FILE, allow_pickle=False) as data:
            values = dict(data)
        with np.load(folder / DEPTH_FILE, allow_pickle=False) as data:
            depth, mask = data["depth"], data["mask"]
        people = [HumanMotion.load(folder / f"person_{k + 1}.npz") for k in range(int(values["people"]))]
        scene = TrueScene.from_dict(json.loads(str(values["scene"])))
        width, height = (int(v) for v in values["size"])
        return cls(people, values["matrix"], (width, height), values["T_world_camera"], scene, depth, mask)
