"""A backend outside ganport, in this one file: it makes the images of a generator of `tests.support` by numpy."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from ganport_runtime.backends import Backend, Package, Session, Tensor
from ganport_runtime.backends.protocol import check_options
from ganport_runtime.manifest import CompiledEngine, Entry
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator


class Toy(Backend):
    """onnx's reference evaluator, which reads a graph node by node."""

    name = "toy_backend"
    devices = ("cpu",)
    packages = (Package("toy-engine", "toy_engine", None, "cpu", "no toy engine"),)

    def settings_to_try(self, entry: Entry, device: str) -> tuple[Mapping[str, str], ...]:
        return ({}, {"speed": "slow"})

    def entry_refusal(self, entry: Entry, device: str) -> str | None:
        if not isinstance(entry, CompiledEngine) and entry.precision != "fp32":
            return f"toy_backend runs fp32 alone, not {entry.precision}"
        return super().entry_refusal(entry, device)

    def open(
        self, model: bytes, *, entry: Entry, device: str, threads: int | None, options: Mapping[str, str] = {}
    ) -> Session:
        check_options(self.name, options, {"speed": ("slow",)})
        return ToySession(model, options)


class ToySession:
    provider = "numpy"
    precision = "fp32"
    pads_to_bucket = is_sized = False

    def __init__(self, model: bytes, options: Mapping[str, str]) -> None:
        graph = onnx.load_model_from_string(model)
        self.options = options
        self.inputs = tuple(_tensor(item) for item in graph.graph.input)
        self.outputs = tuple(_tensor(item) for item in graph.graph.output)
        self._evaluator = ReferenceEvaluator(graph)

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        return [np.asarray(array) for array in self._evaluator.run(list(outputs), dict(inputs))]

    def close(self) -> None:
        pass


BACKEND = Toy


def _tensor(item: onnx.ValueInfoProto) -> Tensor:
    kind = onnx.helper.tensor_dtype_to_np_dtype(item.type.tensor_type.elem_type).name
    sizes = item.type.tensor_type.shape.dim
    return Tensor(item.name, kind, tuple(size.dim_value if size.HasField("dim_value") else None for size in sizes))
