"""An ONNX graph as a file: read, checked, converted, and written whole or not at all."""

import os
from collections.abc import Iterator
from pathlib import Path

import onnx
import onnx.defs
import onnx.version_converter
import onnx_ir
from ganport_runtime import atomic
from ganport_runtime.errors import one_line

from ganport_export.errors import ExportError, Observer, OutputError
from ganport_export.passes.graph_view import ONNX_DOMAINS, opset_version

WANTED = "give the .onnx file of a network"


def read_onnx(path: Path) -> onnx.ModelProto:
    """An ONNX file with every weight in memory, external ones too."""
    data = _read(path)
    try:
        proto = onnx.load_model_from_string(data)
    except Exception:  # protobuf's own, which says nothing that a reader could use
        raise ExportError(f"{path} is no ONNX file, or a damaged one: {WANTED}") from None
    if not proto.ir_version or not proto.opset_import or not proto.graph.node:
        raise ExportError(f"{path} holds no ONNX graph, or only a part of one: {WANTED}")
    try:
        _check_operators(proto, path)
    except TypeError:  # protobuf hands out bytes for a name that is not UTF-8
        raise ExportError(f"{path} is damaged: it holds a name that is no text; {WANTED}") from None
    _load_external(proto, path)
    return proto


def check_onnx_output(out: Path, source: Path, *, overwrite: bool) -> None:
    """See that `out` may be written before any work is done for it."""
    if out.exists() and source.exists() and out.samefile(source):
        raise OutputError(f"{out} is the file that is read: name another one, so that the original stays")
    if out.is_dir():
        raise OutputError(f"{out} is a folder: name a file in it")
    if (out.exists() or out.is_symlink()) and not overwrite:
        raise OutputError(f"{out} exists: name another file, or pass --overwrite to replace it")
    folder = next(parent for parent in out.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"{out} cannot be written: {folder} is no folder that may be written in; name another place")


def write_onnx(out: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    try:
        atomic.write_bytes(out, data)
    except OSError as error:
        raise OutputError(f"{out} cannot be written ({error.strerror or error}): name another place") from error


def _read(path: Path) -> bytes:
    if path.is_dir():
        raise ExportError(f"{path} is a folder: {WANTED}")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ExportError(f"{path} cannot be read ({error.strerror or error}): {WANTED}") from error
    if not data:
        raise ExportError(f"{path} is empty: {WANTED}")
    return data


def _check_operators(proto: onnx.ModelProto, path: Path) -> None:
    """Refuse unknown operators by name; those of other domains are for the engine to know."""
    functions = {(function.domain, function.name) for function in proto.functions}
    opset = max((entry.version for entry in proto.opset_import if entry.domain in ONNX_DOMAINS), default=1)
    for node in _nodes(proto.graph):
        own = node.domain in ONNX_DOMAINS and (node.domain, node.op_type) not in functions
        if own and not onnx.defs.has(node.op_type, opset):
            raise ExportError(
                f"{path} uses the operator {node.op_type!r} (node {node.name!r}), which ONNX's opset {opset} does not "
                "have, so that nothing can run it: export it anew with operators of ONNX"
            )


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for subgraph in (attribute.g, *attribute.graphs):
                yield from _nodes(subgraph)


def _load_external(proto: onnx.ModelProto, path: Path) -> None:
    try:
        onnx.load_external_data_for_model(proto, str(path.parent.resolve()))
        for tensor in proto.graph.initializer:
            onnx.numpy_helper.to_array(tensor)
    except Exception as error:  # of the system, ONNX's checker and numpy
        raise ExportError(
            f"{path} has weights that cannot be read ({one_line(str(error), 160)}): "
            "put the files that were exported with it beside it, unchanged"
        ) from error


def with_opset(model: onnx_ir.Model, oldest: int, observer: Observer) -> onnx_ir.Model:
    """The graph itself where its opset is `oldest` or later, else a converted one; the observer is told."""
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


def to_bytes(graph: onnx_ir.Model | onnx.ModelProto, *, check: bool = False) -> bytes:
    """The bytes of an ONNX file, weights inside."""
    proto = graph if isinstance(graph, onnx.ModelProto) else onnx_ir.serde.serialize_model(graph)
    if check:
        try:
            onnx.checker.check_model(proto, full_check=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError) as error:
            # a ValueError is ONNX's word on more than the 2 GiB that one file can hold
            raise ExportError(f"the exported graph is not valid ONNX: {error}") from error
    try:
        data: bytes = proto.SerializeToString(deterministic=True)
    except Exception as error:  # protobuf's own, which differs between its implementations
        raise ExportError(f"the graph does not fit into one ONNX file, which holds 2 GiB at most: {error}") from error
    return data
