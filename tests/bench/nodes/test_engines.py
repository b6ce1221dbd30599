"""What the engines tell of their nodes, against what is in the graphs that they ran."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from ganport_bench.ceilings import demand_of, work_of
from ganport_bench.nodes import Executed
from ganport_bench.nodes.onnxruntime import executed_by_onnxruntime
from ganport_bench.nodes.openvino import executed_by_openvino
from ganport_runtime import Bundle, latents

BATCH = 3
SETTINGS = {"precision_hint": "f32", "threads": "1"}
Profiler = Callable[[bytes, Mapping[str, str], npt.NDArray[np.float32]], tuple[Executed, ...]]


@pytest.fixture(params=["phase-fp32", "fused-fp32", "phase-int8-s8s8", "fused-int8-u8s8"])
def graph(bundle: Path, request: pytest.FixtureRequest) -> bytes:
    opened = Bundle.open(bundle)
    (entry,) = (one for one in opened.entries("generator") if one.id == f"generator-{request.param}")
    return opened.read(entry)


@pytest.fixture(params=[executed_by_openvino, executed_by_onnxruntime])
def executed(graph: bytes, request: pytest.FixtureRequest) -> tuple[Executed, ...]:
    profiler: Profiler = request.param
    return profiler(graph, SETTINGS, latents(0, 0, BATCH, demand_of(graph).latent_bytes // 4))


def test_all_multiply_adds_of_a_graph_are_found_in_the_nodes_that_ran(
    graph: bytes, executed: tuple[Executed, ...]
) -> None:
    heavy, work, demand = [node for node in executed if node.multiply_adds], work_of(graph), demand_of(graph)
    assert len(heavy) == len(work)
    assert sum(node.multiply_adds for node in heavy) == BATCH * demand.multiply_adds
    assert sum(node.needed_multiply_adds for node in heavy) == BATCH * demand.needed_multiply_adds


def test_nodes_move_at_least_what_the_network_cannot_do_without(graph: bytes, executed: tuple[Executed, ...]) -> None:
    demand, heavy = demand_of(graph), [node for node in executed if node.multiply_adds]
    assert sum(node.bytes for node in heavy) > demand.weight_bytes
    assert all(node.bytes > 0 for node in executed if node.milliseconds > 0)
    assert all(node.milliseconds >= 0 for node in executed)
    assert len({node.name for node in executed}) == len(executed)


@pytest.mark.parametrize("profiler", [executed_by_openvino, executed_by_onnxruntime])
def test_an_int8_node_is_named_for_the_numbers_that_it_computes_with(bundle: Path, profiler: Profiler) -> None:
    opened = Bundle.open(bundle)
    (entry,) = (one for one in opened.entries("generator") if one.id == "generator-fused-int8-u8s8")
    executed = profiler(opened.read(entry), SETTINGS, latents(0, 0, BATCH, 5))
    heavy = [node for node in executed if node.multiply_adds]
    assert {node.precision for node in heavy} <= {"int8", "fp32"}
    assert sum(node.precision == "int8" for node in heavy) >= len(heavy) // 2


def test_openvino_reads_weights_at_the_precision_that_it_computes_in(bundle: Path) -> None:
    opened = Bundle.open(bundle)
    (entry,) = (one for one in opened.entries("generator") if one.id == "generator-phase-fp32")
    z = latents(0, 0, BATCH, 5)
    narrow = executed_by_openvino(opened.read(entry), {"precision_hint": "bf16"}, z)
    wide = executed_by_openvino(opened.read(entry), SETTINGS, z)
    moved = {node.name: node.bytes for node in wide if "Convolution" in node.executed_as}
    halves = [node for node in narrow if node.precision == "bf16" and node.name in moved]
    if not halves:
        pytest.skip("this processor has no fast bfloat16")
    assert all(node.bytes < 0.7 * moved[node.name] for node in halves)
