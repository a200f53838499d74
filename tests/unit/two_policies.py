"""A controller with two small policies of the tests, and what moves it."""

from __future__ import annotations

from pathlib import Path

import controller_cases as cases
import numpy as np
import policy_files as files

from vm_policy_node.controller import Controller, ControllerConfig
from vm_policy_node.onnx_policy import OnnxPolicy
from vm_policy_node.safety import SafetyLimits

POSE = tuple(cases.POSE[cases.MOVED])
QUICK = SafetyLimits(start_still_s=0.0)


def other_contract(**changes):
    """Another policy: softer, around a pose that lies 0.4 rad off, with a narrower range of commands."""
    values = {
        "name": "other",
        "default_joint_pos": tuple(np.array(POSE) + 0.4),
        "kp": (50.0,) * 23,
        "command_limits": ((-0.1, 0.2), (0.0, 0.0), (0.0, 0.0)),
    }
    return files.contract(**(values | changes))


def load(folder: Path, name: str, contract) -> OnnxPolicy:
    return OnnxPolicy.load(files.write(folder / f"{name}.onnx", contract))


def controller(tmp_path: Path) -> Controller:
    """It stands up with the first policy and can switch to the other."""
    first = load(tmp_path, "first", files.contract(default_joint_pos=POSE))
    second = load(tmp_path, "second", other_contract())
    return Controller(first, ControllerConfig(), QUICK, second=second)


def targets_of(controller: Controller, start_s: float, cycles: int, **state) -> np.ndarray:
    records = [cases.drive(controller, start_s + 0.02 * k, 0.02, **state) for k in range(cycles)]
    return np.array([cases.motors(record, "q") for record in records if record is not None])
