"""From the bytes of an ONNX file to a strongly typed TensorRT network, whose precisions are the file's own."""

from dataclasses import dataclass
from typing import Any

from ganport_runtime.text import one_line

from ganport_export.engines.libraries import Library
from ganport_export.errors import ExportError

__all__ = ["Parsed", "parse"]


@dataclass(frozen=True)
class Parsed:
    """An `INetworkDefinition` and what owns its weights, which must stay until the engine is built."""

    network: Any
    owners: tuple[Any, ...]


def parse(builder: Any, library: Library, log: Any, name: str, data: bytes) -> Parsed:
    """Read an ONNX file.

    Args:
        builder: the library's builder.
        library: which library.
        log: its logger.
        name: what errors call the graph.
        data: the ONNX file, weights inside.

    Raises:
        ExportError: the parser refuses it, with the node that it stops at, or it has not one input with a free batch.
    """
    # Required of `tensorrt` 10, where a network is otherwise rounded as the builder sees fit; 11 knows no other kind.
    typed = 1 << int(library.module.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(typed)
    parser = library.module.OnnxParser(network, log)
    if not parser.parse(data):
        raise ExportError(f"{library} cannot read {name}: {_complaint(parser, log)}")
    _check_inputs(network, library, name)
    return Parsed(network, (parser, data))


def _complaint(parser: Any, log: Any) -> str:
    if not parser.num_errors:
        return str(log.said("it gives no reason"))
    error = parser.get_error(0)
    node = error.node_name() or (f"number {error.node()}" if error.node() >= 0 else "")
    where = f"node {node} ({error.node_operator()}): " if node else ""
    return f"{where}{one_line(error.desc().removeprefix('Assertion failed: '))}"


def _check_inputs(network: Any, library: Library, name: str) -> None:
    shapes = [tuple(network.get_input(index).shape) for index in range(network.num_inputs)]
    if len(shapes) != 1 or shapes[0][:1] != (-1,) or min(shapes[0][1:], default=1) < 1:
        shown = ", ".join(map(str, shapes)) or "none"
        raise ExportError(
            f"{library} cannot build {name}: its inputs have the shapes {shown} (-1 is free), "
            "wanted one whose first size alone is free, the batch"
        )
