"""manifest.json: what each stage read and wrote, so that a rerun does only what changed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from vm_core.atomic_files import atomic_path
from vm_core.errors import VmError

FORMAT = "vm_reconstruction_manifest"
FORMAT_VERSION = 1


@dataclass
class Manifest:
    """The record beside the results; `stages` maps a stage's name to its record."""

    path: Path
    stages: dict[str, dict] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Manifest:
        """Reads the file; an absent or broken one counts as an empty record (everything is then done again)."""
        try:
            content = json.loads(path.read_text())
            if content["format"] == FORMAT and content["version"] == FORMAT_VERSION:
                return cls(path, dict(content["stages"]))
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return cls(path)

    def is_done(self, name: str, input_hash: str, out: Path) -> bool:
        """Whether the stage ran with these inputs and its outputs still are what it wrote."""
        record = self.stages.get(name)
        if not isinstance(record, dict) or record.get("input_hash") != input_hash:
            return False
        outputs = record.get("outputs", {})
        return bool(outputs) and all(content_hash(out / path) == known for path, known in outputs.items())

    @property
    def warnings(self) -> list[str]:
        """What the stages warned of, in their order."""
        return [text for record in self.stages.values() for text in record.get("warnings", ())]

    def record(
        self, name: str, input_hash: str, out: Path, outputs: tuple[str, ...], seconds: float, warnings: list[str]
    ) -> None:
        """Notes a finished stage with what it warned of and writes the file."""
        missing = [path for path in outputs if not (out / path).exists()]
        if missing:
            raise VmError(f"stage {name} ended without writing {', '.join(missing)} in {out}")
        hashes = {path: content_hash(out / path) for path in outputs}
        record = {"input_hash": input_hash, "outputs": hashes, "seconds": round(seconds, 2)}
        self.stages[name] = record | ({"warnings": warnings} if warnings else {})
        with atomic_path(self.path) as temporary:
            content = {"format": FORMAT, "version": FORMAT_VERSION, "stages": self.stages}
            temporary.write_text(json.dumps(content, indent=1))


def content_hash(path: Path) -> str:
    """SHA-256 of a file, or of a folder's files with their names; "absent" when there is nothing."""
    digest = hashlib.sha256()
    if path.is_dir():
        for file in sorted(p for p in path.rglob("*") if _counts(p)):
            digest.update(f"{file.relative_to(path)}:{content_hash(file)};".encode())
    elif path.is_file():
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    else:
        return "absent"
    return digest.hexdigest()


def _counts(path: Path) -> bool:
    # Byte code appears when a package is first imported; hidden files are results that are not finished.
    return path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")


def combined_hash(*parts: object) -> str:
    """SHA-256 of JSON-able parts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
