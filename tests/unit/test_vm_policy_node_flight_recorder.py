"""The flight recorder's ring and its files, read back with mcap's own reader."""

import struct
import subprocess
import sys
from pathlib import Path

import pytest
from mcap.reader import make_reader

from vm_core.errors import VmError
from vm_policy_node.bringup.message_types import message_definition
from vm_policy_node.flight_recorder import FlightRecorder, default_folder

SECOND = 10**9


@pytest.fixture
def definitions(tmp_path, monkeypatch) -> Path:
    """Two message packages, one of which contains a message of the other."""
    files = {
        "std_msgs": {"Header": "builtin_interfaces/Time stamp\nstring frame_id\n"},
        "builtin_interfaces": {"Time": "int32 sec\nuint32 nanosec\n"},
        "own_msgs": {
            "Outer": "# a comment\nuint8 OK=1\nstd_msgs/Header header\nInner[] parts  # an array\nfloat32[3] xyz\n",
            "Inner": "float32 x\nstring<=8 name\n",
        },
    }
    for package, messages in files.items():
        folder = tmp_path / "prefix/share" / package / "msg"
        folder.mkdir(parents=True)
        for name, text in messages.items():
            (folder / f"{name}.msg").write_text(text)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path / "prefix"))
    return tmp_path


def test_definitions_contain_what_they_need(definitions):
    parts = message_definition("own_msgs/msg/Outer").split("=" * 80 + "\n")
    assert parts[0].startswith("# a comment")
    assert [part.splitlines()[0] for part in parts[1:]] == [
        "MSG: std_msgs/Header",
        "MSG: own_msgs/Inner",
        "MSG: builtin_interfaces/Time",
    ]
    with pytest.raises(VmError, match="no definition of own_msgs/msg/Nothing"):
        message_definition("own_msgs/msg/Nothing")


def test_the_ring_keeps_a_span_and_a_size(tmp_path):
    recorder = FlightRecorder(tmp_path, span_s=2.0)
    for k in range(1000):
        recorder.add("/a", "own_msgs/msg/Inner", k * SECOND // 100, bytes(10))
    assert recorder.num_bytes == pytest.approx(2010, abs=10)
    small = FlightRecorder(tmp_path, most_bytes=100)
    for k in range(50):
        small.add("/a", "own_msgs/msg/Inner", k, bytes(30))
    assert small.num_bytes <= 100


def test_a_file_holds_what_the_ring_held(definitions):
    recorder = FlightRecorder(definitions / "flights")
    for k in range(20):
        recorder.add("/inner", "own_msgs/msg/Inner", k * SECOND, b"\x00\x01\x00\x00" + struct.pack("<fI", k, 0))
        recorder.add("/outer", "own_msgs/msg/Outer", k * SECOND + 1, bytes(8))
    path = recorder.save("tilt: 1.20 rad, limit 1.00 rad")
    assert path is not None and path.name.endswith("_tilt.mcap")
    recorder.wait(20.0)
    assert recorder.written == [path]
    assert not list(path.parent.glob("*.spool"))
    with path.open("rb") as stream:
        reader = make_reader(stream)
        found = list(reader.iter_messages())
        assert next(iter(reader.iter_metadata())).metadata == {"reason": "tilt: 1.20 rad, limit 1.00 rad"}
    assert len(found) == 40
    schema, channel, message = found[0]
    assert schema is not None
    assert (schema.name, schema.encoding, channel.topic, channel.message_encoding) == (
        "own_msgs/msg/Inner",
        "ros2msg",
        "/inner",
        "cdr",
    )
    assert struct.unpack("<f", found[2][2].data[4:8]) == (1.0,)
    assert [m.log_time for _, _, m in found] == sorted(m.log_time for _, _, m in found)


def test_a_folder_that_takes_nothing_is_named_and_nothing_is_left(definitions):
    (definitions / "flights").write_text("a file where the folder should be")
    recorder = FlightRecorder(definitions / "flights")
    recorder.add("/inner", "own_msgs/msg/Inner", SECOND, bytes(8))
    path = recorder.save("tilt")
    recorder.wait(20.0)
    assert recorder.problem.startswith(f"{path} is not written: ") and not recorder.written
    assert recorder.save("again") is not None  # the recorder goes on


def test_what_the_writer_cannot_write_stays_as_it_came(definitions):
    recorder = FlightRecorder(definitions / "flights")
    recorder.add("/inner", "own_msgs/msg/Missing", SECOND, bytes(8))
    path = recorder.save("tilt")
    recorder.wait(60.0)
    assert path is not None and path.with_suffix(".spool").stat().st_size > 8
    assert recorder.problem.endswith(f"the messages lie in {path.with_suffix('.spool').name}")


def test_only_so_many_files_are_kept(definitions, monkeypatch):
    monkeypatch.setattr("vm_policy_node.flight_recorder.MOST_FILES", 2)
    folder = definitions / "flights"
    folder.mkdir()
    for k in range(4):
        (folder / f"2020-01-0{k + 1}_00-00-00_old.mcap").touch()
    strange = folder / "a_bag_of_mine.mcap"
    strange.touch()
    recorder = FlightRecorder(folder)
    recorder.add("/inner", "own_msgs/msg/Inner", 0, bytes(12))
    path = recorder.save("request")
    recorder.wait(20.0)
    assert path is not None
    assert sorted(folder.glob("*.mcap")) == [folder / "2020-01-04_00-00-00_old.mcap", path, strange]


def test_a_type_that_is_not_installed_is_named(definitions, capfd):
    recorder = FlightRecorder(definitions / "flights")
    recorder.add("/x", "strange_msgs/msg/Thing", 0, bytes(4))
    recorder.save("request")
    recorder.wait(20.0)
    assert recorder.written == []
    assert "error: no definition of strange_msgs/msg/Thing" in capfd.readouterr().err


def test_the_folder_follows_ros_home(monkeypatch, tmp_path):
    monkeypatch.setenv("ROS_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "flight_records"
    monkeypatch.delenv("ROS_HOME")
    assert default_folder().parts[-2:] == (".ros", "flight_records")


def test_the_controller_does_not_import_the_writer():
    """Its import and its work happen in a process of their own."""
    code = "import sys, vm_policy_node.flight_recorder; sys.exit('mcap' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
