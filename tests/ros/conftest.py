"""Every ROS test talks in a domain of its own, so that tests and a running robot never hear each other."""

from __future__ import annotations

import itertools
import os

import pytest

HIGHEST_DOMAIN = 101  # above it, discovery ports reach into Linux's ephemeral range
_NEXT = itertools.count(os.getpid())


@pytest.fixture(autouse=True)
def ros_domain(monkeypatch: pytest.MonkeyPatch) -> int:
    """Sets ROS_DOMAIN_ID for one test and the processes that it starts; returns it."""
    domain = 1 + next(_NEXT) % HIGHEST_DOMAIN
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
    return domain
