"""How processes of nodes share the interpreter."""

import sys

from vm_core import node_process


def test_threads_of_a_node_keep_the_interpreter_for_less_than_pythons_own_interval():
    before = sys.getswitchinterval()
    try:
        node_process.take_turns()
        assert sys.getswitchinterval() == node_process.SWITCH_INTERVAL_S < before
    finally:
        sys.setswitchinterval(before)
