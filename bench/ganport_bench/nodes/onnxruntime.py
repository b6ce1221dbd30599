"""The nodes of a graph that ONNX Runtime runs on the CPU, timed by the library's own profiler."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from ganport_bench.ceilings import NodeWork
from ganport_bench.nodes.products import Products
from ganport_bench.nodes.profile import Executed

__all__ = ["Traced", "executed_by_onnxruntime", "read_trace"]

RUNS, WARMUP = 15, 5
MATRIX = 2  # axes at least
KERNEL = "_kernel_time"  # behind a node's name in an event of what it took
MADE = re.compile(
    r"^fused |(?:_nchwc|_token_\d+)+$"
)  # what optimizers put around the name of the node that they replace
HEAVY = re.compile(r"Conv|Gemm|MatMul")  # in the names of operators that multiply matrices
PRECISIONS = {"float": "fp32", "float16": "fp16", "bfloat16": "bf16", "uint8": "int8", "int8": "int8"}


@dataclass(frozen=True)
class Traced:
    """One node in a trace.

    Attributes:
        name: of the node.
        operator: what it was executed as.
        milliseconds: of every run, in their order.
        inputs: type and shape of each that was given; weights that were packed beforehand are not.
        bytes: of these inputs and of the outputs.
    """

    name: str
    operator: str
    milliseconds: Sequence[float]
    inputs: Sequence[tuple[str, Sequence[int]]]
    bytes: int


def executed_by_onnxruntime(
    graph: bytes, settings: Mapping[str, str], z: npt.NDArray[np.float32]
) -> tuple[Executed, ...]:
    """Run a graph with the profiler on.

    Args:
        graph: ONNX.
        settings: `threads`, as the backend has it.
        z: float32 [batch, latent_dim].
    """
    with TemporaryDirectory(prefix="ganport-") as folder:
        session = _session(graph, settings, Path(folder) / "trace")
        for _ in range(WARMUP + RUNS):
            session.run(None, {session.get_inputs()[0].name: z})
        traced = tuple(read_trace(Path(session.end_profiling()).read_text("utf-8")))
    products = Products(graph)
    return tuple(_executed(node, products, len(z)) for node in traced)


def _session(graph: bytes, settings: Mapping[str, str], trace: Path) -> Any:
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.enable_profiling = True
    options.profile_file_prefix = str(trace)
    if "threads" in settings:
        options.intra_op_num_threads = int(settings["threads"])
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def read_trace(text: str) -> Iterator[Traced]:
    """Every node of a trace in the order of execution.

    Args:
        text: JSON, as the profiler writes it.
    """
    events: dict[str, list[Mapping[str, Any]]] = {}
    for event in json.loads(text):
        if event.get("cat") == "Node" and event["name"].endswith(KERNEL):
            events.setdefault(event["name"].removesuffix(KERNEL), []).append(event)
    for name, those in events.items():
        told = those[-1]["args"]
        inputs = [next(iter(one.items())) for one in told.get("input_type_shape", ())]
        sizes = (told.get(key, 0) for key in ("activation_size", "parameter_size", "output_size"))
        yield Traced(name, told["op_name"], [event["dur"] / 1e3 for event in those], inputs, sum(map(int, sizes)))


def _executed(node: Traced, products: Products, batch: int) -> Executed:
    work = _work(node, products) if HEAVY.search(node.operator) else None
    word = next((word for word, shape in node.inputs if shape), "")  # a scale or a zero point has none
    spent, precision = median(node.milliseconds[WARMUP:]), PRECISIONS.get(word, word)
    if work is None:
        return Executed(node.name, node.operator, precision, spent, 0, 0, node.bytes)
    weights = products.traffic(work).weight_bytes if _is_packed(node) else 0
    counts = (batch * work.multiply_adds, batch * work.needed)
    return Executed(node.name, node.operator, precision, spent, *counts, node.bytes + weights)


def _work(node: Traced, products: Products) -> NodeWork | None:
    return products.before(node.name) or products.before(MADE.sub("", node.name))


def _is_packed(node: Traced) -> bool:
    """Whether the weights are none of the inputs, where beside the first one only biases and scales are left."""
    return all(len(shape) < MATRIX for _, shape in node.inputs[1:])
