import json
from typing import Any

import pytest
from ganport_bench.nodes.onnxruntime import read_trace


def event(name: str, microseconds: int, **told: Any) -> dict[str, Any]:
    return {"cat": "Node", "name": f"{name}_kernel_time", "dur": microseconds, "args": told}


CONVOLUTION = {
    "op_name": "FusedConv",
    "input_type_shape": [{"float": [2, 4, 8, 8]}, {"float": [4]}],
    "activation_size": "2048",
    "parameter_size": "16",
    "output_size": "4096",
}


def test_a_node_has_the_time_of_every_run_and_the_bytes_of_its_last_one() -> None:
    events = [
        {"cat": "Session", "name": "model_run", "dur": 900, "args": {}},
        event("conv", 500, **CONVOLUTION),
        event("old", 1, op_name="Relu"),
        {"cat": "Node", "name": "conv_fence_before", "dur": 7, "args": {"op_name": "FusedConv"}},
        event("conv", 300, **CONVOLUTION),
        event("old", 3, op_name="Relu"),
    ]
    conv, relu = read_trace(json.dumps(events))
    assert (conv.name, conv.operator) == ("conv", "FusedConv")
    assert conv.milliseconds == [0.5, 0.3]
    assert conv.bytes == 2048 + 16 + 4096
    assert conv.inputs == [("float", [2, 4, 8, 8]), ("float", [4])]
    assert (relu.milliseconds, relu.bytes, relu.inputs) == ([0.001, 0.003], 0, [])


def test_a_trace_of_nothing_has_no_nodes() -> None:
    assert list(read_trace(json.dumps([{"cat": "Session", "name": "model_run", "dur": 1}]))) == []


def test_what_is_no_trace_is_an_error() -> None:
    with pytest.raises(ValueError, match="Expecting value"):
        list(read_trace("no trace"))
