"""Converts a graph to a later opset where it is older than an operator that it needs."""

import onnx.version_converter
import onnx_ir
from ganport_runtime.text import one_line

from ganport_export.errors import ExportError
from ganport_export.observer import Observer
from ganport_export.passes.inspect_nodes import opset_version

__all__ = ["with_opset"]


def with_opset(model: onnx_ir.Model, oldest: int, observer: Observer) -> onnx_ir.Model:
    """The graph itself where its opset is `oldest` or later, else a converted one; the observer is told.

    Raises:
        ExportError: it holds an operator that cannot be converted.
    """
    old = opset_version(model)
    if old >= oldest:
        return model
    try:
        proto = onnx.version_converter.convert_version(onnx_ir.serde.serialize_model(model), oldest)
    except Exception as error:  # of ONNX's C++ code
        raise ExportError(
            f"opset {oldest} is needed, the graph is of opset {old} and cannot be converted "
            f"({one_line(str(error), 120)}): export it anew"
        ) from error
    observer(f"converted from opset {old} to {oldest}, which this precision needs")
    return onnx_ir.serde.deserialize_model(proto)
