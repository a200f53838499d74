"""Large arrays of an .npz outside memory: unpacked into a file without a name; what is read of it is in memory."""

from __future__ import annotations

import mmap
import shutil
import tempfile
import zipfile
from pathlib import Path

import numpy as np

MOST_BYTES = 64e6  # of an array that is simply read


def read(path: Path, name: str) -> np.ndarray:
    """The array `name` of an .npz; a large one is mapped from a file in the system's temporary folder ($TMPDIR).

    Raises:
        KeyError, ValueError, OSError, zipfile.BadZipFile: there is none, it is damaged, or there is no space.
    """
    with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as member:
        version = np.lib.format.read_magic(member)
        header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in header:
            raise ValueError(f"{name} has the unknown format {version}")
        shape, by_column, dtype = header[version](member)
        if dtype.hasobject:
            raise ValueError(f"{name} holds objects")
        if int(np.prod(shape)) * dtype.itemsize <= MOST_BYTES:
            with archive.open(f"{name}.npy") as again:
                return np.lib.format.read_array(again, allow_pickle=False)
        with tempfile.TemporaryFile() as file:  # the map keeps it alive
            shutil.copyfileobj(member, file, 1 << 20)
            file.flush()
            return np.memmap(file, dtype, "r", shape=shape, order="F" if by_column else "C")


def release(array: np.ndarray) -> None:
    """Takes out of memory what was read of a mapped array; others stay as they are."""
    pages = getattr(array, "_mmap", None)
    if pages is not None and hasattr(mmap, "MADV_DONTNEED"):
        pages.madvise(mmap.MADV_DONTNEED)
