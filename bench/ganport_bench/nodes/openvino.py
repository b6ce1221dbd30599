"""The nodes of a graph that OpenVINO runs on the CPU, timed by the library's own counters."""

from collections.abc import Iterator, Mapping
from math import prod
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
from ganport_runtime.backends.openvino_import import openvino_core

from ganport_bench.ceilings.demand import BYTES
from ganport_bench.nodes.products import Products
from ganport_bench.nodes.profile import Executed

__all__ = ["executed_by_openvino"]

RUNS, WARMUP = 15, 5
HEAVY = ("Convolution", "Deconvolution", "FullyConnected", "MatMul")  # what multiplies matrices, in OpenVINO's words
PRECISIONS = {"f32": "fp32", "bf16": "bf16", "f16": "fp16", "u8": "int8", "i8": "int8"}
STORED = "Const"


def executed_by_openvino(graph: bytes, settings: Mapping[str, str], z: npt.NDArray[np.float32]) -> tuple[Executed, ...]:
    """Run a graph with counters on, the batch size fixed, in one stream.

    Args:
        graph: ONNX.
        settings: `threads` and `precision_hint`, as the backend has them; others are left out.
        z: float32 [batch, latent_dim].
    """
    compiled = _compile(graph, settings, len(z))
    request = compiled.create_infer_request()
    taken: dict[str, list[float]] = {}
    kernels: dict[str, str] = {}
    for run in range(WARMUP + RUNS):
        request.infer({0: z})
        for node in request.profiling_info if run >= WARMUP else ():
            taken.setdefault(node.node_name, []).append(node.real_time.total_seconds() * 1e3)
            kernels[node.node_name] = f"{node.node_type} {node.exec_type}"
    works = dict(_works(compiled, Products(graph), len(z)))
    return tuple(
        Executed(name, kernels[name], precision, median(taken[name]), *counts)
        for name, (precision, *counts) in works.items()
        if name in taken
    )


def _compile(graph: bytes, settings: Mapping[str, str], batch: int) -> Any:
    core = openvino_core()
    model = core.read_model(graph)
    model.reshape([batch, *model.input(0).partial_shape[1:]])
    asked = {"PERF_COUNT": True, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}
    if "threads" in settings:
        asked["INFERENCE_NUM_THREADS"] = int(settings["threads"])
    return core.compile_model(model, "CPU", asked | {"INFERENCE_PRECISION_HINT": settings.get("precision_hint", "f32")})


def _works(compiled: Any, products: Products, batch: int) -> Iterator[tuple[str, tuple[str, int, int, int]]]:
    """By executed node: its precision, multiply-adds, those needed, and bytes."""
    for operation in compiled.get_runtime_model().get_ordered_ops():
        facts = {key: value.value for key, value in operation.get_rt_info().items()}
        precision = PRECISIONS.get(facts["runtimePrecision"], facts["runtimePrecision"])
        # One with a bias comes as two of a name, the second with a word behind it.
        names = [name.split("/")[0] for name in facts["originalLayersNames"].split(",")]
        found = products.named(names) if facts["layerType"] in HEAVY else ()
        counts = (batch * sum(work.multiply_adds for work in found), batch * sum(work.needed for work in found))
        yield operation.get_friendly_name(), (precision, *counts, _bytes(operation, precision))


def _bytes(operation: Any, precision: str) -> int:
    """What it reads and writes; stored numbers were brought to the precision of the node beforehand."""
    sources = [tensor.get_source_output() for tensor in operation.inputs()]
    sizes = [_size(source) for source in sources]
    stored = [source.get_node().get_rt_info()["layerType"].value == STORED for source in sources]
    read = sum(
        prod(source.get_shape()) * (min(size, BYTES.get(precision, size)) if is_stored else size)
        for source, size, is_stored in zip(sources, sizes, stored, strict=True)
    )
    return int(read + sum(prod(output.get_shape()) * _size(output) for output in operation.outputs()))


def _size(tensor: Any) -> int:
    return int(tensor.get_element_type().size)
