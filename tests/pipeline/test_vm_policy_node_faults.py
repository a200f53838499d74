"""A walking robot under the controller plays each fault once and ends as the table of faults says."""

import bench_faults as bench
import lockstep
import pytest

from vm_core.errors import VmError
from vm_policy_node.safety import State
from vm_sim.faults import WALKER_FAULTS


@pytest.fixture(scope="module")
def walk():
    try:
        one = lockstep.Lockstep(lambda now_s: bench.WALK)
    except VmError as error:
        pytest.skip(str(error))
    one.start()
    one.run(1.7)
    assert one.state == State.RUNNING
    assert not one.audit.outside
    return one


@pytest.mark.parametrize("fault", WALKER_FAULTS, ids=lambda fault: fault.name)
def test_each_fault_ends_as_specified(walk, fault):
    twin = walk.branch(0)
    problem, _ = bench.play(twin, fault)
    assert not problem
    assert twin.audit.seen > 5 and not twin.audit.outside
