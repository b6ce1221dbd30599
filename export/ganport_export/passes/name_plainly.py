"""Gives every value and node a name that depends on the graph alone, and drops what only the exporter wanted to say."""

import onnx
import onnx_ir
from onnx_ir.passes import common

PRODUCER = "ganport"


def name_plainly(model: onnx_ir.Model) -> None:
    """Strip metadata and intermediate shapes; name nodes and values `conv_0`, `relu_0`, constants `conv_0.W`, in place.

    Comes last. Inputs and outputs keep their names. Two exports of one network are then the same bytes.
    """
    common.ClearMetadataAndDocStringPass()(model)
    model.producer_name, model.producer_version = PRODUCER, None
    model.metadata_props.clear()
    model.graph.name = PRODUCER
    for value in (*model.graph.inputs, *model.graph.outputs, *model.graph.initializers.values()):
        value.metadata_props.clear()
        value.doc_string = None
    _set_aside_names(model.graph)
    _name_nodes(model.graph)
    _name_constants(model.graph)
    common.NameFixPass()(model)  # subgraphs, which the functions here do not enter


def _set_aside_names(graph: onnx_ir.Graph) -> None:
    """Free every name that is about to be given, so that no two values meet in one."""
    for index, value in enumerate(list(graph.initializers.values())):
        value.name = f"#{index}"
    for index, node in enumerate(graph):
        for value in node.outputs:
            if not value.is_graph_output():
                value.name = f"#{index}#{value.index()}"


def _name_nodes(graph: onnx_ir.Graph) -> None:
    counts: dict[str, int] = {}
    for node in graph:
        kind = _snake_case(node.op_type)
        node.name = f"{kind}_{counts.setdefault(kind, 0)}"
        counts[kind] += 1
        for index, value in enumerate(node.outputs):
            if not value.is_graph_output():
                value.name = node.name if index == 0 else f"{node.name}:{index}"
                value.shape = value.type = None  # they hold symbols of one tracing; every engine infers its own
                value.metadata_props.clear()


def _name_constants(graph: onnx_ir.Graph) -> None:
    """Name every constant after the first node that uses it, by the operator's own word for that input."""
    unnamed = set(graph.initializers.values())
    for node in graph:
        for index, value in enumerate(node.inputs):
            if value is not None and value in unnamed:
                unnamed.remove(value)
                value.name = f"{node.name}.{_input_name(node, index)}"


def _input_name(node: onnx_ir.Node, index: int) -> str:
    if not onnx.defs.has(node.op_type, node.domain):
        return str(index)
    formal = onnx.defs.get_schema(node.op_type, domain=node.domain).inputs
    return formal[index].name if index < len(formal) else f"{formal[-1].name}_{index}"  # the last one may repeat


def _snake_case(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() and i else letter.lower() for i, letter in enumerate(name))
