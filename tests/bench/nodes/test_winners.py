import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from ganport_bench.ceilings import Bandwidth, Peak, Stream
from ganport_bench.nodes import Executed, Profile, node_times, profile_winners, table
from ganport_bench.nodes.winners import otherwise
from ganport_bench.peers.protocol import Kind
from ganport_bench.speed.judge import Verdict
from ganport_bench.speed.measured import Comparison, Measured
from ganport_bench.speed.rounds import Taken
from ganport_bench.timing import Estimate
from rich.console import Console


def peak(precision: str, value: float) -> Peak:
    return Peak(precision, Estimate(value, value, value), "somehow", {}, {})


PEAKS = {"int8": peak("int8", 8e8), "fp32": peak("fp32", 4e8)}
BANDWIDTH = Bandwidth(Stream(Estimate(1e8, 1e8, 1e8), "somehow", {}))


@dataclass(frozen=True)
class Found:
    comparisons: Sequence[Comparison]
    peaks: dict[str, Peak] = field(default_factory=lambda: PEAKS)
    bandwidth: Bandwidth = BANDWIDTH


def measured(name: str, batch: int, rate: float, *, wrong: str = "", kind: Kind = "plan") -> Measured:
    taken = Taken(np.array([batch / rate]), np.array([0]))
    settings = {"precision_hint": "f32"} if "openvino" in name else {"threads": "1"}
    return Measured(name, kind, "fp32", batch, settings, 1, "", "", Verdict(None, wrong), taken, taken.seconds)


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
    profiles = profile_winners(bundle, Found([at_one, at_two]))
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


@pytest.mark.parametrize(
    ("settings", "batch", "said"),
    [
        ({"precision_hint": "f32", "shape": "static", "threads": "1"}, 64, ""),
        ({"mode": "throughput", "precision_hint": "f32"}, 8, "Profiled without mode throughput"),
        ({"shape": "dynamic"}, 256, "Profiled without shape dynamic and as one run of 256"),
    ],
)
def test_a_profile_says_how_it_differs_from_what_was_timed(settings: dict[str, str], batch: int, said: str) -> None:
    assert otherwise(settings, batch) == said


@pytest.fixture
def profile() -> Profile:
    executed = [
        Executed("reorder", "Reorder f32", "fp32", 1.0, 0, 0, 10_000),
        Executed("unused", "Reshape", "fp32", 0.0, 0, 0, 10_000),
        Executed("conv", "Convolution I8", "int8", 3.0, 900_000, 600_000, 100_000),
        Executed("half", "Convolution F16", "fp16", 2.0, 500_000, 500_000, 1_000),
        Executed("dense", "FullyConnected f32", "fp32", 4.0, 200_000, 200_000, 300_000),
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
    assert profile.nodes[1].operations_per_second == pytest.approx(4e8), "of those that are needed"


def test_the_summary_says_where_the_time_goes(profile: Profile) -> None:
    found = profile.summary
    assert found.milliseconds == 10.0
    assert found.products_floor == pytest.approx(0.45)
    assert found.products_above_floor == pytest.approx(0.45)
    assert found.without_products == pytest.approx(0.1)


def test_the_document_has_every_node_and_the_summary(profile: Profile) -> None:
    document = json.loads(json.dumps(profile.to_json(), allow_nan=False))
    assert (document["plan"], document["engine"], document["batch"], document["precision"]) == (
        "a plan",
        "openvino",
        8,
        "int8",
    )
    assert [node["name"] for node in document["nodes"]] == ["reorder", "conv", "half", "dense"]
    assert set(document["nodes"][0]) == {
        "name",
        "executed_as",
        "precision",
        "milliseconds",
        "share",
        "multiply_adds",
        "needed_multiply_adds",
        "bytes",
        "floor_milliseconds",
    }
    assert document["nodes"][1]["share"] == 0.3
    assert document["summary"]["products_floor"] == pytest.approx(0.45)


def shown(profile: Profile) -> str:
    console = Console(width=160)
    with console.capture() as capture:
        console.print(table(profile, PEAKS))
    return capture.get()


def test_people_see_the_longest_node_first_and_where_the_rest_goes(profile: Profile) -> None:
    text = shown(profile)
    assert "a plan, batch 8: 10.00 ms in 4 nodes" in text
    assert text.index("dense") < text.index("conv") < text.index("half") < text.index("reorder")
    assert "50%" in text, "of the int8 peak"
    words = " ".join(text.split())
    assert "45% of the time is the floor of the nodes that multiply matrices" in words
    assert "45% is what these take above it, or have no known floor" in words
    assert "10% goes to nodes without products. Without counters a call took 9.00 ms." in words


def test_short_nodes_are_added_up_and_what_was_not_found_is_said() -> None:
    executed = [Executed(f"node_{index}", "Relu", "fp32", 1.0, 0, 0, 8) for index in range(30)]
    nodes = node_times(executed, PEAKS, BANDWIDTH)
    text = shown(Profile("a plan", "onnxruntime", 1, "fp32", 1.0, nodes, unfound_multiply_adds=1_000))
    assert "6 more" in text
    assert "1,000 multiply-adds were not found in the nodes by their names." in " ".join(text.split())
