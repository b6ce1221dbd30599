"""One view of a graph for all passes: what operators do, names, constants, readers, shapes."""

import logging
from collections.abc import Iterator
from typing import Any

import numpy.typing as npt
import onnx_ir
from onnx_ir.passes import common

ONNX_DOMAINS = ("", "ai.onnx")  # two spellings of one domain

# The work of a network: what its precision is about.
PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
# Move values or leave them out, and compute nothing.
MOVES = frozenset(
    {
        "Concat", "DepthToSpace", "Flatten", "Identity", "Reshape", "Slice", "SpaceToDepth", "Squeeze", "Transpose",
        "Unsqueeze",
    }
)  # fmt: skip
# Look at one value at a time.
ACTIVATIONS = ("Relu", "LeakyRelu", "Tanh", "Sigmoid", "Clip", "Elu", "Selu", "HardSigmoid", "HardSwish", "Softplus")
RANDOM = ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike")


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


def draws_numbers(model: onnx_ir.Model) -> onnx_ir.Node | None:
    """A node that draws random numbers, in subgraphs too; a Dropout is one where it may be in training mode."""
    for node in model.graph.all_nodes():
        if is_operator(node, *RANDOM) or (is_operator(node, "Dropout") and _may_train(node)):
            return node
    return None


def _may_train(dropout: onnx_ir.Node) -> bool:
    mode = dropout.inputs[2] if len(dropout.inputs) > 2 else None
    array = constant_array(mode)
    return mode is not None and (array is None or bool(array.any()))


def constant_array(value: onnx_ir.Value | None) -> npt.NDArray[Any] | None:
    """The numbers of a constant value; None where it is computed, absent, or an input that the caller may give."""
    if value is None or value.is_graph_input():
        return None
    tensor = onnx_ir.convenience.get_const_tensor(value)
    return None if tensor is None else tensor.numpy()


def computed_inputs(node: onnx_ir.Node) -> list[onnx_ir.Value]:
    """What a node reads that is no constant."""
    return [value for value in node.inputs if value is not None and constant_array(value) is None]


def only_reader(value: onnx_ir.Value) -> onnx_ir.Node | None:
    """The node that reads a value, where it does so once, nothing else reads it, and it is no output of the graph."""
    uses = value.uses()
    return next(iter(uses)).node if len(uses) == 1 and not value.is_graph_output() else None


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
