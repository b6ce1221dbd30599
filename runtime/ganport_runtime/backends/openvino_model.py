"""Compiles a graph by OpenVINO for one batch size or any, and reads back what became of the properties asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ganport_runtime.backends.protocol import Tensor
from ganport_runtime.entries import Entry
from ganport_runtime.errors import PlanError
from ganport_runtime.text import one_line

__all__ = ["CompiledModel", "compile_model", "signature"]

PROPERTIES = {"threads": "INFERENCE_NUM_THREADS", "streams": "NUM_STREAMS", "mode": "PERFORMANCE_HINT"}
HINT = "INFERENCE_PRECISION_HINT"
DTYPES = {"f32": "float32", "u8": "uint8"}

# The layers that do the arithmetic, by OpenVINO's own names, and its words for what they calculate with.
HEAVY = ("Convolution", "Deconvolution", "FullyConnected", "MatMul")
EXECUTED = {"f32": "fp32", "bf16": "bf16", "f16": "fp16", "u8": "int8", "i8": "int8"}
COARSEST_FIRST = ("int8", "bf16", "fp16", "fp32")


@dataclass(frozen=True)
class CompiledModel:
    """A graph compiled for one batch size or any.

    Attributes:
        model: the library's own object.
        provider: the devices that execute it, as the library reports them.
        precision: the coarsest numbers that a layer computes with, or that the graph stores.
        streams: how many requests run side by side.
    """

    model: Any
    provider: str
    precision: str
    streams: int

    def create_request(self) -> Any:
        """A new infer request."""
        return self.model.create_infer_request()


def signature(graph: Any) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The inputs and outputs of a graph."""
    return tuple(_tensor(item) for item in graph.inputs), tuple(_tensor(item) for item in graph.outputs)


def compile_model(core: Any, graph: Any, size: int, entry: Entry, options: Mapping[str, str]) -> CompiledModel:
    """Compile a graph on the CPU for batches of `size`, 0 for any.

    Raises:
        PlanError: the library cannot, or what it made is not what the options ask for.
    """
    asked = {PROPERTIES[key]: value.upper() for key, value in options.items() if key in PROPERTIES}
    asked = {"PERFORMANCE_HINT": "LATENCY", **asked}
    hint = options["precision_hint"]  # always said: left open it is bf16 wherever the processor has that
    try:
        sized = graph.clone()
        if size:
            sized.reshape({item.get_any_name(): [size, *item.partial_shape[1:]] for item in sized.inputs})
        model = core.compile_model(sized, "CPU", {**asked, HINT: hint})
    except Exception as error:
        raise PlanError(f"openvino cannot compile {entry.id}: {one_line(str(error))}") from error
    _check_properties(model, asked, hint)
    provider = ", ".join(model.get_property("EXECUTION_DEVICES"))
    return CompiledModel(model, provider, _precision(model, entry, hint), int(model.get_property("NUM_STREAMS")))


def _check_properties(model: Any, asked: Mapping[str, str], hint: str) -> None:
    """See that the library took every property as it was given."""
    found = model.get_property(HINT).get_type_name()
    if found != hint:
        raise PlanError(f"openvino computes in {found} where {hint} was asked for: this processor has no fast {hint}")
    for key, value in asked.items():
        found = str(model.get_property(key))
        if found.rpartition(".")[2] != value:
            raise PlanError(f"openvino set {key} to {found} where {value} was asked for")


def _precision(model: Any, entry: Entry, hint: str) -> str:
    """The coarsest precision of the layers that it really executes, compared with what was asked for.

    Raises:
        PlanError: an int8 graph came out with no int8 layer, or a layer is coarser than asked for.
    """
    executed = _executed(model)
    layers = ", ".join(sorted(executed))
    if ("int8" in executed) != (entry.precision == "int8"):
        raise PlanError(f"openvino executes the {entry.precision} graph {entry.id} in {layers}")
    if hint == "f32" and not executed <= {"fp32", "int8"}:
        raise PlanError(f"openvino executes {entry.id} in {layers} where f32 was asked for")
    stored = {entry.precision} if entry.precision in COARSEST_FIRST else set()
    asked = {"bf16"} if hint == "bf16" else set()
    return next(name for name in COARSEST_FIRST if name in executed | stored | asked)


def _executed(model: Any) -> set[str]:
    """The precisions of the layers that do the arithmetic, from the graph as the library executes it."""
    info = [node.get_rt_info() for node in model.get_runtime_model().get_ordered_ops()]
    words = {node["runtimePrecision"].value for node in info if node["layerType"].value in HEAVY}
    return {EXECUTED.get(word, word) for word in words}


def _tensor(item: Any) -> Tensor:
    dtype = item.element_type.get_type_name()
    shape = tuple(size.get_length() if size.is_static else None for size in item.partial_shape)
    return Tensor(item.get_any_name(), DTYPES.get(dtype, dtype), shape)
