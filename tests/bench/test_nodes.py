"""What engines tell of their nodes, against what is in the graphs that they ran; floors, shares and tables."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ganport_bench.baselines import Kind
from ganport_bench.ceilings import Ceilings, Limits
from ganport_bench.comparison import AccuracyCheck, Comparison, Measured, RoundTimes
from ganport_bench.graph_work import Demand, demand_of, work_of
from ganport_bench.nodes import (
    ExecutedNode,
    Nodes,
    Profile,
    executed_by_onnxruntime,
    executed_by_openvino,
    measure,
    node_times,
    read_trace,
    tables,
)
from ganport_bench.peaks import Bandwidth, Peak, StreamRate
from ganport_bench.speed import Speed
from ganport_bench.subject import make_run
from ganport_bench.tables import Table
from ganport_bench.timing import Estimate
from ganport_export import export_run
from ganport_runtime import Bundle, latents
from numpy.typing import NDArray

from tests.support.tiny_run import TINY


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wide enough that engines block its channels, in the forms and precisions that they fuse."""
    folder = tmp_path_factory.mktemp("nodes")
    run = make_run(folder, lambda _step: None, **TINY | {"width": 16})
    export_run(run, folder / "nodes.ganport", forms=("phase", "fused"), precisions=("fp32", "int8"))
    return folder / "nodes.ganport"


BATCH = 3
SETTINGS = {"precision_hint": "f32", "threads": "1"}
Profiler = Callable[[bytes, Mapping[str, str], NDArray[np.float32]], tuple[ExecutedNode, ...]]


@pytest.fixture(params=["phase-fp32", "fused-fp32", "phase-int8-s8s8", "fused-int8-u8s8"])
def graph(bundle: Path, request: pytest.FixtureRequest) -> bytes:
    opened = Bundle.open(bundle)
    (entry,) = (one for one in opened.entries("generator") if one.id == f"generator-{request.param}")
    return opened.read(entry)


@pytest.fixture(params=[executed_by_openvino, executed_by_onnxruntime])
def executed(graph: bytes, request: pytest.FixtureRequest) -> tuple[ExecutedNode, ...]:
    profiler: Profiler = request.param
    return profiler(graph, SETTINGS, latents(0, 0, BATCH, demand_of(graph).latent_bytes // 4))


@pytest.mark.slow
def test_all_multiply_adds_of_a_graph_are_found_in_the_nodes_that_ran(
    graph: bytes, executed: tuple[ExecutedNode, ...]
) -> None:
    heavy, work, demand = [node for node in executed if node.multiply_adds], work_of(graph), demand_of(graph)
    assert len(heavy) == len(work)
    assert sum(node.multiply_adds for node in heavy) == BATCH * demand.multiply_adds
    assert sum(node.needed_multiply_adds for node in heavy) == BATCH * demand.needed_multiply_adds


def test_nodes_move_at_least_what_the_network_cannot_do_without(
    graph: bytes, executed: tuple[ExecutedNode, ...]
) -> None:
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


# ---- ONNX Runtime's trace


def event(name: str, microseconds: int, **told: Any) -> dict[str, Any]:
    return {"cat": "Node", "name": f"{name}_kernel_time", "dur": microseconds, "args": told}


CONVOLUTION = {
    "op_name": "FusedConv",
    "input_type_shape": [{"float": [2, 4, 8, 8]}, {"float": [4]}],
    "activation_size": "2048",
    "parameter_size": "16",
    "output_size": "4096",
}


def test_a_node_has_the_time_of_every_run_and_the_bytes_of_its_last_one() -> None:
    events = [
        {"cat": "Session", "name": "model_run", "dur": 900, "args": {}},
        event("conv", 500, **CONVOLUTION),
        event("old", 1, op_name="Relu"),
        {"cat": "Node", "name": "conv_fence_before", "dur": 7, "args": {"op_name": "FusedConv"}},
        event("conv", 300, **CONVOLUTION),
        event("old", 3, op_name="Relu"),
    ]
    conv, relu = read_trace(json.dumps(events))
    assert (conv.name, conv.operator) == ("conv", "FusedConv")
    assert conv.milliseconds == [0.5, 0.3]
    assert conv.bytes == 2048 + 16 + 4096
    assert conv.inputs == [("float", [2, 4, 8, 8]), ("float", [4])]
    assert (relu.milliseconds, relu.bytes, relu.inputs) == ([0.001, 0.003], 0, [])


# ---- profiles


def peak(precision: str, value: float) -> Peak:
    return Peak(precision, Estimate(value, value, value), "somehow", {}, {})


PEAKS = {"int8": peak("int8", 8e8), "fp32": peak("fp32", 4e8)}
BANDWIDTH = Bandwidth(StreamRate(Estimate(1e8, 1e8, 1e8), "somehow", {}))


def measured(name: str, batch: int, rate: float, *, wrong: str = "", kind: Kind = "plan") -> Measured:
    taken = RoundTimes(np.array([batch / rate]), np.array([0]))
    settings = {"precision_hint": "f32"} if "openvino" in name else {"threads": "1"}
    return Measured(name, kind, "fp32", batch, settings, 1, "", "", AccuracyCheck(None, wrong), taken, taken.seconds)


def test_the_fastest_right_plan_of_each_engine_is_profiled_at_every_batch_size(bundle: Path) -> None:
    at_one = Comparison(
        1,
        [
            measured("OpenVINO, fp32", 1, 900, kind="peer"),
            measured("ganport as opened", 1, 800),
            measured("generator-fused-fp32, openvino", 1, 700, wrong="gray"),
            measured("generator-phase-fp32, openvino", 1, 600),
            measured("generator-fused-fp32, onnxruntime", 1, 500),
            measured("generator-phase-fp32, onnxruntime", 1, 400),
        ],
        {},
    )
    at_two = Comparison(2, [measured("generator-fused-fp32, openvino", 2, 700)], {})
    limits = Limits(PEAKS, BANDWIDTH)
    ceilings = Ceilings(Demand(1, 1, 1, 1, 1, 1), {"cpu": limits}, {})
    profiles = measure(bundle, Speed("", "", ceilings, [at_one, at_two], []))
    assert [(one.plan, one.engine, one.batch) for one in profiles] == [
        ("generator-phase-fp32, openvino", "openvino", 1),
        ("generator-fused-fp32, onnxruntime", "onnxruntime", 1),
        ("generator-fused-fp32, openvino", "openvino", 2),
    ]
    for one in profiles:
        assert sum(node.share for node in one.nodes) == pytest.approx(1)
        assert one.unfound_multiply_adds == 0
        assert all(node.floor_milliseconds is not None for node in one.nodes)
    assert profiles[2].call_milliseconds == pytest.approx(2 / 0.7)


@pytest.fixture
def profile() -> Profile:
    executed = [
        ExecutedNode("reorder", "Reorder f32", "fp32", 1.0, 0, 0, 10_000),
        ExecutedNode("unused", "Reshape", "fp32", 0.0, 0, 0, 10_000),
        ExecutedNode("conv", "Convolution I8", "int8", 3.0, 900_000, 600_000, 100_000),
        ExecutedNode("half", "Convolution F16", "fp16", 2.0, 500_000, 500_000, 1_000),
        ExecutedNode("dense", "FullyConnected f32", "fp32", 4.0, 200_000, 200_000, 300_000),
    ]
    return Profile("a plan", "openvino", 8, "int8", 9.0, node_times(executed, PEAKS, BANDWIDTH))


def test_the_floor_of_a_node_is_the_longer_one_of_its_operations_and_its_bytes(profile: Profile) -> None:
    floors = {node.name: node.floor_milliseconds for node in profile.nodes}
    assert floors == {
        "reorder": pytest.approx(0.1),  # 10,000 bytes
        "conv": pytest.approx(1.5),  # 1.2 million operations; its bytes would take 1 ms
        "half": None,  # of no known peak
        "dense": pytest.approx(3.0),  # 300,000 bytes; its operations would take 1 ms
    }


def test_the_summary_says_where_the_time_goes(profile: Profile) -> None:
    assert profile.summary == {
        "milliseconds": 10.0,
        "products_floor": pytest.approx(0.45),
        "products_above_floor": pytest.approx(0.45),
        "without_products": pytest.approx(0.1),
    }


def shown(*profiles: Profile) -> list[Table]:
    peaks = {precision: asdict(one) for precision, one in PEAKS.items()}
    document = {"nodes": Nodes(profiles).to_json(), "ceilings": {"peaks": peaks}}
    return tables(json.loads(json.dumps(document, allow_nan=False)))


def test_people_see_the_longest_node_first_and_where_the_rest_goes(profile: Profile) -> None:
    shares, table = shown(profile)
    assert shares.rows == [(profile.plan, str(profile.batch), "10.0", "45%", "45%", "10%")]
    assert [row[0] for row in table.rows] == ["dense", "conv", "half", "reorder"]
    conv = dict(zip(table.columns, table.rows[1], strict=True))
    assert (conv["share"], conv["x floor"], conv["Gop/s"], conv["of its peak"]) == ("30.0%", "2.00", "0.400", "50%")
    assert "45% of the time is the floor" in table.note
