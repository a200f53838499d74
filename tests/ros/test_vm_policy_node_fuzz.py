"""Broken messages of every kind into what the node subscribes to: nothing crashes, nothing unsafe is commanded.

Twenty thousand here; `make bench ONLY=fuzz` sends a million.
"""

import pytest

from vm_core import ros_environment
from vm_core.errors import VmError

MESSAGES = 20_000


def test_broken_messages_neither_crash_nor_command(tmp_path):
    try:
        ros_environment.ros_environment()
    except VmError as error:
        pytest.skip(str(error))
    pytest.importorskip("vm_msgs.msg", reason="the message packages are not built")
    import bench_fuzz as bench  # which needs the message packages

    fuzz = bench.Fuzz(bench._policy(tmp_path), seed=1)
    while fuzz.messages < MESSAGES:
        fuzz.cycle()
    assert fuzz.crashes == []
    assert fuzz.audit.outside == []
    assert fuzz.armed > 0.1 * fuzz.cycles and fuzz.audit.seen > 200
