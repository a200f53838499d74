"""Arrays that are written and read one after the other: in memory, or in a file where they would not fit well."""

from __future__ import annotations

import tempfile

import numpy as np

from vm_core.errors import VmError

MOST_BYTES = 128e6  # of all arrays together in memory


class ArrayStore:
    """`count` arrays of up to `size` float64, zeros until they are put; a file is without a name and ends with it."""

    def __init__(self, count: int, size: int) -> None:
        """Chooses memory or a file in the system's folder for temporary files ($TMPDIR)."""
        self._bytes = 8 * size
        self.size = size
        self._file = None
        if count * self._bytes > MOST_BYTES:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - lives as long as the store
        self._kept: dict[int, np.ndarray | None] = {}

    def clear(self) -> None:
        """All are zeros again."""
        self._kept.clear()

    def get(self, index: int) -> np.ndarray:
        """(size,); changes of it count only when it is put again."""
        if index not in self._kept:
            return np.zeros(self.size)
        kept = self._kept[index]
        if kept is not None:
            return kept
        assert self._file is not None
        values = np.empty(self.size)
        self._file.seek(index * self._bytes)
        view, done = values.data.cast("B"), 0
        while done < self._bytes:
            done += self._file.readinto(view[done:]) or 0
        return values

    def put(self, index: int, values: np.ndarray) -> None:
        """Keeps values (size,).

        Raises:
            VmError: the disk is full.
        """
        if self._file is None:
            self._kept[index] = values
            return
        self._file.seek(index * self._bytes)
        view, done = values.data.cast("B"), 0
        try:
            while done < self._bytes:
                done += self._file.write(view[done:]) or 0
        except OSError as error:
            raise VmError(
                f"a long clip needs {self._bytes * (index + 1) / 1e9:.1f} GB and more in {tempfile.gettempdir()} "
                f"({error}); give another folder by TMPDIR"
            ) from None
        self._kept[index] = None
