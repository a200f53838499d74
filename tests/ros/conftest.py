"""Every ROS test talks in a domain of its own, so that tests and a running robot never hear each other."""

from __future__ import annotations

import itertools
import os

import pytest

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
