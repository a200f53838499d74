"""Damaged policy files for the importers: each is refused in one line or becomes a policy that loads; never a crash.

`fuzz(count, seed)` is what benchmarks and tests call; `python tests/benchmarks/fuzz_importers.py COUNT` runs it alone.
Every file is drawn from the seed and its own number, so a run that was ended can go on where it was.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import foreign_policies as files
import numpy as np
import yaml

from vm_core.atomic_files import atomic_path
from vm_core.errors import VmError
from vm_policy_node.importers.holosoma import import_holosoma
from vm_policy_node.importers.imported import Imported
from vm_policy_node.importers.mjlab import BEYONDMIMIC, MJLAB, import_metadata_policy
from vm_policy_node.importers.unitree_rl_lab import import_unitree_rl_lab

LIMITS = ((-0.5, 0.5), (-0.3, 0.3), (-0.5, 0.5))
_ODD_TEXTS = [
    b"nan",
    b"-1",
    b"1e999",
    b"null",
    b"[]",
    b"{}",
    b"true",
    b"99999999999999999999",
    b"'",
    b",",
    b"\x00",
    b"!!",
]
WRITE_EVERY, REPORT_EVERY = 20, 500


def _plain(path: Path, data: bytes, read: Callable[[Path], Imported]) -> Imported:
    path.write_bytes(data)
    return read(path)


def _folder(path: Path, data: bytes) -> Imported:
    (path.parent / "deploy.yaml").write_bytes(data)
    return import_unitree_rl_lab(path.parent)


def _cases(folder: Path) -> dict[str, tuple[bytes, Callable[[Path, bytes], Imported]]]:
    """A sound file of each format, and how its damaged versions are read."""
    (folder / "policy.onnx").write_bytes(files.network(73, 29, {}))

    def by(read: Callable[[Path], Imported]) -> Callable[[Path, bytes], Imported]:
        return lambda path, data: _plain(path, data, read)

    at = folder / "sound.onnx"
    return {
        "unitree_rl_lab": (yaml.safe_dump(files.deploy(), sort_keys=False).encode(), _folder),
        "mjlab": (files.mjlab(at).read_bytes(), by(lambda p: import_metadata_policy(p, MJLAB, "", 0.02, LIMITS))),
        "beyondmimic": (
            files.beyondmimic(at).read_bytes(),
            by(lambda p: import_metadata_policy(p, BEYONDMIMIC, "", 0.02, LIMITS)),
        ),
        "holosoma": (files.holosoma(at).read_bytes(), by(import_holosoma)),
        "holosoma_tracking": (files.holosoma(at, tracking=True).read_bytes(), by(import_holosoma)),
    }


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """The bytes cut, flipped, with a part doubled, or with odd text in place of some; metadata get most of it."""
    kind, at = rng.integers(5), int(rng.integers(len(data)))
    if rng.random() < 0.7:  # ONNX files here end with their metadata, YAML is all of it
        at = max(len(data) - 1 - int(rng.integers(4000)), 0)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + bytes([data[at] ^ (1 << int(rng.integers(8)))]) + data[at + 1 :]
    if kind == 2:
        return data[:at] + rng.bytes(int(rng.integers(1, 9))) + data[at + int(rng.integers(9)) :]
    if kind == 3:
        odd = _ODD_TEXTS[rng.integers(len(_ODD_TEXTS))]
        return data[:at] + odd + data[at + len(odd) :]
    return data[:at] + data[max(at - int(rng.integers(60)), 0) :]


def fuzz(count: int, seed: int = 0, progress: Path | None = None) -> dict[str, int]:
    """Reads `count` damaged files; every so many that read are written and loaded, too.

    Args:
        count: files from the first on.
        seed: of the damage.
        progress: a JSON file that says how far the run is; where it exists already, the run goes on from there.

    Returns:
        read, refused, written, and crashes: errors of any other kind.
    """
    result = {"seed": seed, "files": 0, "read": 0, "refused": 0, "written": 0, "crashes": 0}
    if progress is not None and progress.is_file():
        result |= json.loads(progress.read_text())
        if result["seed"] != seed:
            raise VmError(f"{progress}: of seed {result['seed']}, expected {seed}; delete it or name another file")
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="vm-fuzz-", dir=memory if memory.is_dir() else None) as name:
        folder = Path(name)
        cases = list(_cases(folder).items())
        for k in range(result["files"], count):
            _one(k, seed, folder, *cases[k % len(cases)], write=k % WRITE_EVERY < len(cases), result=result)
            result["files"] = k + 1
            if progress is not None and result["files"] % REPORT_EVERY == 0:
                with atomic_path(progress) as temporary:
                    temporary.write_text(json.dumps(result))
    return result


def _one(
    k: int,
    seed: int,
    folder: Path,
    format_name: str,
    case: tuple[bytes, Callable[[Path, bytes], Imported]],
    *,
    write: bool,
    result: dict[str, int],
) -> None:
    data, read = case
    try:
        imported = read(folder / "damaged.onnx", damaged(data, np.random.default_rng([seed, k])))
        if write:
            imported.write(folder / "out.onnx")
            result["written"] += 1
        result["read"] += 1
    except VmError as error:
        assert str(error) and "\n" not in str(error), f"{format_name}: {error}"
        result["refused"] += 1
    except Exception as error:
        result["crashes"] += 1
        print(f"{format_name} seed {seed} file {k}: {type(error).__name__}: {error}", file=sys.stderr)


if __name__ == "__main__":
    print(fuzz(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
