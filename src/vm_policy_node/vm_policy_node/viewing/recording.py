"""A rosbag2 folder with one mcap file, written message by message, without ROS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vm_core.errors import VmError

_VERSION = 9
"""Of rosbag2's metadata; Jazzy and later write it, Humble reads it."""


class Recording:
    """An open recording. It lies at FOLDER.partial until it is closed, so that FOLDER is always whole."""

    def __init__(self, folder: Path) -> None:
        """Makes the files.

        Args:
            folder: of the finished recording.

        Raises:
            VmError: it, or a rest of it, exists already or cannot be made.
        """
        from rosbags.rosbag2 import StoragePlugin, Writer, WriterError  # takes half a second to load
        from rosbags.typesys import Stores, get_typestore

        self.folder = folder.absolute()
        self._partial = self.folder.with_name(f"{self.folder.name}.partial")
        for path in (self.folder, self._partial):
            if path.exists():
                raise VmError(f"recording {path} exists already; give another folder")
        self._types = get_typestore(Stores.EMPTY)
        self._connections: dict[str, Any] = {}
        self.messages = 0
        try:
            self._partial.mkdir(parents=True)
            self._writer = Writer(self._partial / folder.name, version=_VERSION, storage_plugin=StoragePlugin.MCAP)
            self._writer.open()
        except (OSError, WriterError) as error:
            raise VmError(f"recording {folder}: {error}") from None

    def add_topic(self, topic: str, type_name: str, definition: str, *, latched: bool = False) -> None:
        """Announces a topic.

        Args:
            topic: its name.
            type_name: `PACKAGE/msg/NAME`.
            definition: of the type and all types in it, as `message_definition` gives it.
            latched: whether its publisher keeps the last message for those who come late.
        """
        from rosbags.typesys import get_types_from_msg

        found = get_types_from_msg(definition, type_name)
        self._types.register({name: fields for name, fields in found.items() if name not in self._types.types})
        self._connections[topic] = self._writer.add_connection(
            topic,
            type_name,
            msgdef=definition,
            rihs01=self._types.hash_rihs01(type_name),
            offered_qos_profiles=[_qos(latched)],
        )

    def write(self, topic: str, stamp_ns: int, data: bytes) -> None:
        """Appends one message as CDR bytes.

        Raises:
            VmError: it cannot be written (the disk is full).
        """
        try:
            self._writer.write(self._connections[topic], stamp_ns, data)
        except OSError as error:
            raise VmError(f"recording {self.folder}: {error.strerror or error}") from None
        self.messages += 1

    def close(self) -> Path | None:
        """Finishes the files; returns the folder, or None where nothing was recorded and nothing is left."""
        self._writer.close()
        inner = self._partial / self.folder.name
        if not self.messages:
            for path in inner.iterdir():
                path.unlink()
            inner.rmdir()
        else:
            inner.rename(self.folder)
        self._partial.rmdir()
        return self.folder if self.messages else None


def _qos(latched: bool) -> Any:
    from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

    endless = QosTime(sec=9223372036, nsec=854775807)
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=1 if latched else 10,
        reliability=QosReliability.RELIABLE,
        durability=QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        deadline=endless,
        lifespan=endless,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=endless,
        avoid_ros_namespace_conventions=False,
    )
