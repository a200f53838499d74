"""Who may use which processor cores, and who waits for whom."""

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vm_policy_node.bringup import cores
from vm_policy_node.bringup.nodes import NodeSpec, node_list
from vm_policy_node.bringup.system import System

LOOP = NodeSpec("loop", "p", "loop", own_core=True)
IDLES = "import time\nwhile True: time.sleep(0.1)"
linux = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores are shared out on Linux only")


@given(st.sets(st.integers(0, 255), min_size=2, max_size=80))
def test_no_core_of_the_others_is_the_loops_own(allowed):
    shared = cores.share_out(allowed)
    own = shared.control - shared.others
    assert len(own) == 1 and shared.others and shared.control | shared.others == allowed
    assert (shared.control == own) == (len(allowed) < cores.FEW)


def test_one_core_is_everybodys():
    assert cores.share_out({3}) is None


@linux
def test_the_second_start_on_a_machine_leaves_its_nodes_where_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    with cores.shared_cores([NodeSpec("blind", "p", "blind")], tmp_path) as none:
        assert none is None  # nobody asks for a core
    with cores.shared_cores([LOOP], tmp_path) as first, cores.shared_cores([LOOP], tmp_path) as second:
        assert first == cores.Cores(frozenset({1}), frozenset({0})) and second is None
    with cores.shared_cores([LOOP], tmp_path) as third:
        assert third == first


def test_the_policy_has_a_core_unless_told_otherwise():
    def nodes(**options):
        return {node.name: node for node in node_list(System("p", **options))}

    asking = {name for name, node in nodes(view=True, foxglove=True).items() if node.own_core}
    assert asking == {"vm_policy_node"}
    assert not any(node.own_core for node in nodes(own_core=False).values())
    waiting = {name for name, node in nodes(view=True).items() if node.gives_way}
    assert waiting == {"vm_heightmap", "vm_view_robot"}


@linux
def test_who_steps_back_is_niced_with_its_whole_session():
    sleeper = subprocess.Popen([sys.executable, "-c", IDLES], start_new_session=True)
    try:
        cores.step_back(sleeper.pid)
        assert os.getpriority(os.PRIO_PROCESS, sleeper.pid) == max(
            os.getpriority(os.PRIO_PROCESS, 0), cores.ONLOOKER_NICE
        )
    finally:
        sleeper.kill()
        sleeper.wait()
    cores.step_back(sleeper.pid)  # one that has ended already is nobody's harm
    cores.place(sleeper.pid, LOOP, cores.Cores(frozenset({0}), frozenset({0})))
