"""Which inputs and outputs of a node may be float16 where they are float32 now: ONNX's own schemas say."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import onnx.defs
import onnx_ir
from onnx_ir import DataType

from ganport_export.passes.inspect_nodes import ONNX_DOMAINS

__all__ = ["ANY_TYPE", "HalfTypes", "half_types"]

Formal = onnx.defs.OpSchema.FormalParameter

ANY_TYPE = ("Shape", "Size")  # they look at no value
BOTH = {"tensor(float16)", "tensor(float)"}


@dataclass(frozen=True)
class HalfTypes:
    """Positions among a node's inputs and outputs that hold float32 and may hold float16, all of them together."""

    inputs: frozenset[int]
    outputs: frozenset[int]


def half_types(node: onnx_ir.Node, opset: int) -> HalfTypes | None:
    """What may become float16; None where an output of float32 would have to stay one, or no input can change.

    Args:
        node: its values have types.
        opset: the version of ONNX's own operators.
    """
    if node.domain not in ONNX_DOMAINS or not onnx.defs.has(node.op_type, opset):
        return None
    schema = onnx.defs.get_schema(node.op_type, opset)
    able = {each.type_param_str for each in schema.type_constraints if set(each.allowed_type_strs) >= BOTH}
    inputs = {index: name for index, name in _names(schema.inputs, node.inputs) if name in able}
    outputs = dict(_names(schema.outputs, node.outputs))
    if not inputs or not set(outputs.values()) <= set(inputs.values()):  # a Cast's output type is an attribute
        return None
    return HalfTypes(frozenset(inputs), frozenset(outputs))


def _names(formals: Sequence[Formal], values: Sequence[onnx_ir.Value | None]) -> Iterator[tuple[int, str]]:
    """The schema's name for the type of every float32 value, with its position."""
    for index, value in enumerate(values):
        if value is not None and value.dtype == DataType.FLOAT:
            yield index, formals[min(index, len(formals) - 1)].type_str  # the last one may repeat
