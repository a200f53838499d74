"""MediaPipe Pose, run in its own environment: frames go in through a pipe, one .npz comes back."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from vm_core.errors import VmError
from vm_reconstruction.frontends.pose_frontend import PoseLandmarks

PROGRAM = Path(__file__).with_name("mediapipe_program.py")
ENVIRONMENT_VARIABLE = "VM_MEDIAPIPE_PYTHON"
MASK_SCALE = 4
_SIDED = ("eye_inner", "eye", "eye_outer")
LANDMARK_NAMES: tuple[str, ...] = (
    "nose",
    *(f"left_{n}" for n in _SIDED),
    *(f"right_{n}" for n in _SIDED),
    *(
        f"{side}_{n}"
        for n in ("ear", "mouth", "shoulder", "elbow", "wrist", "pinky", "index", "thumb", "hip", "knee", "ankle")
        for side in ("left", "right")
    ),
    *(f"{side}_{n}" for n in ("heel", "foot_index") for side in ("left", "right")),
)


def find_python() -> Path:
    """The Python that has mediapipe: $VM_MEDIAPIPE_PYTHON, else .venv-mediapipe beside the workspace's .venv."""
    given = os.environ.get(ENVIRONMENT_VARIABLE)
    roots = [Path.cwd(), *Path.cwd().parents, *Path(__file__).resolve().parents]
    candidates = [Path(given)] if given else [root / ".venv-mediapipe" / "bin" / "python" for root in roots]
    for candidate in candidates:
        if candidate.exists():
            return candidate
    looked = given or ".venv-mediapipe/bin/python in the workspace"
    raise VmError(f"no Python for MediaPipe at {looked}; run `make setup` or set {ENVIRONMENT_VARIABLE}")


class MediapipePose:
    """PoseFrontend by mediapipe 0.10.21 (`mp.solutions.pose`), offline."""

    def __init__(self, complexity: int = 1) -> None:
        """Args: complexity: MediaPipe's model, 0 lite, 1 full, 2 heavy (needs a download)."""
        self.complexity = complexity

    def landmarks(
        self,
        frames: Iterable[np.ndarray],
        width: int,
        height: int,
        static: bool = False,
        on_frame: Callable[[], None] = lambda: None,
    ) -> PoseLandmarks:
        """Landmarks, visibility and mask of the most prominent person in each frame."""
        python = find_python()  # before anything is started
        header = {"width": width, "height": height, "mask_scale": MASK_SCALE, "static": static}
        header["complexity"] = self.complexity
        with tempfile.TemporaryDirectory() as folder:
            result = Path(folder) / "pose.npz"
            self._run([str(python), str(PROGRAM), str(result)], header, frames, on_frame)
            with np.load(result, allow_pickle=False) as data:
                fields = {name: data[name] for name in data.files}
        size = fields.pop("mask_size")
        return PoseLandmarks(names=LANDMARK_NAMES, mask_size=(int(size[0]), int(size[1])), **fields)

    def _run(
        self, command: list[str], header: dict, frames: Iterable[np.ndarray], on_frame: Callable[[], None]
    ) -> None:
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
            assert process.stdin is not None and process.stdout is not None
            reader = threading.Thread(target=_count_dots, args=(process.stdout, on_frame), daemon=True)
            reader.start()
            try:
                process.stdin.write(json.dumps(header).encode() + b"\n")
                for frame in frames:
                    process.stdin.write(np.ascontiguousarray(frame).data)
                process.stdin.close()
                code = process.wait()
            except BrokenPipeError:
                code = process.wait() or 1
            finally:
                if process.poll() is None:  # Ctrl-C or an error in the frames: leave no process behind
                    process.kill()
                    process.wait()
                reader.join(timeout=5.0)
            if code != 0:
                errors.seek(0)
                last = errors.read().decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
                raise VmError(f"MediaPipe ended with code {code}: {last[0]}")


def _count_dots(stream, on_frame: Callable[[], None]) -> None:
    while stream.read(1):
        on_frame()
