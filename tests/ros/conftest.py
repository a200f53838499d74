"""Every ROS test talks in a domain of its own, so that tests and a running robot never hear each other."""

from __future__ import annotations

import itertools
import os

import pytest

from vm_core import ros_environment
from vm_core.errors import VmError

HIGHEST_DOMAIN = 101  # above it, discovery ports reach into Linux's ephemeral range
_NEXT = itertools.count(os.getpid())


def next_domain() -> int:
    """A domain that no other fixture of this run uses."""
    return 1 + next(_NEXT) % HIGHEST_DOMAIN


@pytest.fixture(autouse=True)
def ros_domain(monkeypatch: pytest.MonkeyPatch) -> int:
    """Sets ROS_DOMAIN_ID for one test and the processes that it starts; returns it."""
    domain = next_domain()
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
    return domain


@pytest.fixture(scope="module")
def module_domain() -> int:
    """A domain for the processes that all tests of one module share."""
    return next_domain()


@pytest.fixture(scope="module")
def environment(module_domain: int, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """For processes with ROS: that domain, one thread for numbers, a ROS_HOME; skips where ROS is missing."""
    try:
        found = ros_environment.ros_environment()
    except VmError as error:
        pytest.skip(str(error))
    home = str(tmp_path_factory.mktemp("ros"))
    return found | {
        "ROS_DOMAIN_ID": str(module_domain),
        "ROS_HOME": home,
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }
