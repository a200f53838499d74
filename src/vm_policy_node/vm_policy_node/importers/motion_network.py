"""Networks that carry the motion they follow: an observation and a time step in, the action and the motion out.

BeyondMimic, mjlab and holosoma export them so. The part that makes the action becomes the policy; the motion, a
table that the time step indexes, becomes a clip.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import numpy_helper

from vm_core.errors import VmError

TIME_INPUT = "time_step"
ACTION_OUTPUT = "actions"
MAX_FRAMES = 200_000


def follows_motion(model: onnx.ModelProto) -> bool:
    """Whether the network takes a time step beside the observation."""
    return TIME_INPUT in [value.name for value in model.graph.input]


def motion_tables(model: onnx.ModelProto, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The tables (T, …) behind the outputs `names`.

    Raises:
        VmError: an output is missing, or is not a table looked up by the time step.
    """
    makers = {output: node for node in model.graph.node for output in node.output}
    constants: dict[str, onnx.TensorProto | None] = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant":
            constants[node.output[0]] = next((part.t for part in node.attribute if part.name == "value"), None)
    outputs = [value.name for value in model.graph.output]
    tables = {}
    for name in names:
        if name not in outputs:
            raise VmError(f"the network lacks the output {name}; it has {', '.join(outputs)}")
        node = makers.get(name)
        table = constants.get(node.input[0]) if node is not None and node.op_type == "Gather" and node.input else None
        if table is None:
            raise VmError(f"the network's output {name} is not a table looked up by {TIME_INPUT}")
        with np.errstate(invalid="ignore"):  # damaged numbers are refused below
            tables[name] = np.asarray(numpy_helper.to_array(table), dtype=np.float64)
    lengths = {len(table) if table.ndim else 0 for table in tables.values()}
    if len(lengths) != 1 or not 2 <= min(lengths) <= MAX_FRAMES:
        raise VmError(f"the motion's tables have {sorted(lengths)} frames; expected one count of 2 to {MAX_FRAMES}")
    if not all(np.all(np.isfinite(table)) for table in tables.values()):
        raise VmError("the motion has numbers that are none")
    return tables


def action_network(model: onnx.ModelProto) -> bytes:
    """The network from the observation to the action alone.

    Raises:
        VmError: no such output, or the action depends on the time step.
    """
    wanted, nodes = {ACTION_OUTPUT}, []
    for node in reversed(model.graph.node):
        if wanted & set(node.output):
            nodes.append(node)
            wanted |= set(node.input)
    inputs = [value for value in model.graph.input if value.name in wanted]
    outputs = [value for value in model.graph.output if value.name == ACTION_OUTPUT]
    if not outputs or [value.name == TIME_INPUT for value in inputs] != [False]:
        found = ", ".join(value.name for value in inputs) or "nothing"
        raise VmError(f"the network's {ACTION_OUTPUT} depend on {found}; expected on the observation alone")
    kept = [tensor for tensor in model.graph.initializer if tensor.name in wanted]
    graph = onnx.helper.make_graph(nodes[::-1], "policy", inputs, outputs, kept)
    version = min(max(model.ir_version, 3), 10)
    return onnx.helper.make_model(graph, opset_imports=model.opset_import, ir_version=version).SerializeToString()
