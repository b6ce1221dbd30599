"""What passes ask of a graph before they touch it."""

import logging
from collections.abc import Iterator
from typing import Any

import numpy.typing as npt
import onnx_ir
from onnx_ir.passes import common

ONNX_DOMAINS = ("", "ai.onnx")  # two spellings of one domain


def opset_version(model: onnx_ir.Model) -> int:
    """The version of ONNX's own operators that the model uses; 1 where it declares none, as the format has it."""
    return max((model.opset_imports[domain] for domain in ONNX_DOMAINS if domain in model.opset_imports), default=1)


def is_operator(node: onnx_ir.Node, *op_types: str) -> bool:
    """Whether a node is one of these operators of ONNX's own."""
    return node.op_type in op_types and node.domain in ONNX_DOMAINS


def label(node: onnx_ir.Node) -> str:
    """The node's name; where it has none, its output's, which every file has."""
    return node.name or str(node.outputs[0].name)


def nested_nodes(model: onnx_ir.Model, *op_types: str) -> Iterator[tuple[onnx_ir.Node, str]]:
    """Nodes of these operators that no pass enters, inside subgraphs and functions, and which of them each is in."""
    top = set(model.graph)
    for node in model.graph.all_nodes():
        if node not in top and is_operator(node, *op_types):
            yield node, "a subgraph"
    for function in model.functions.values():
        for node in function.all_nodes():
            if is_operator(node, *op_types):
                yield node, f"the function {function.name}"


def constant_array(value: onnx_ir.Value | None) -> npt.NDArray[Any] | None:
    """The numbers of a constant value; None where it is computed, absent, or an input that the caller may give."""
    if value is None or value.is_graph_input():
        return None
    tensor = onnx_ir.convenience.get_const_tensor(value)
    return None if tensor is None else tensor.numpy()


def infer_shapes(model: onnx_ir.Model) -> None:
    """Fill in shapes and types as far as they are known, in place; a node of unknown type hides what follows it."""
    logger = logging.getLogger("onnx_ir.passes.common.shape_inference")
    logger.addFilter(_no_traceback)
    try:
        common.ShapeInferencePass(check_type=False, strict_mode=False)(model)
    finally:
        logger.removeFilter(_no_traceback)


def _no_traceback(record: logging.LogRecord) -> bool:
    """False where inference failed, which leaves the model as it was: passes then say what they do not know."""
    return record.exc_info is None
