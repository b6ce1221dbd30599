from pathlib import Path

import pytest
from ganport_bench.ceilings import Peak, work_of
from ganport_bench.speed.plans import OnePlan, plans_of
from ganport_bench.speed.profile import NodeTime, Profile, profile, table
from ganport_bench.timing import Estimate
from ganport_runtime import Bundle
from rich.console import Console

BATCH = 3


def plan_of(bundle: Path, name: str) -> OnePlan:
    return next(plan for plan in plans_of(Bundle.open(bundle)) if plan.name == name)


@pytest.mark.parametrize("variant", ["generator-phase-fp32", "generator-phase-int8-s8s8"])
def test_all_multiply_adds_of_a_graph_are_found_in_the_nodes_that_ran(bundle: Path, variant: str) -> None:
    plan = plan_of(bundle, f"{variant}, openvino")
    settings = {"precision_hint": "f32", "threads": "1"}
    nodes = profile(Bundle.open(bundle), plan.candidate, settings, BATCH)
    work = work_of(Bundle.open(bundle).read(plan.candidate.entry))
    heavy = [node for node in nodes if node.multiply_adds]
    assert sum(node.multiply_adds for node in heavy) == BATCH * sum(node.multiply_adds for node in work)
    assert len(heavy) == len(work)
    assert sum(node.share for node in nodes) == pytest.approx(1)
    if "int8" in variant:
        convolutions = [node.executed_as for node in heavy if "Convolution" in node.executed_as]
        assert all(name.endswith("I8") for name in convolutions), "named for the numbers that it computes with"


def test_the_longest_node_comes_first_and_only_layers_have_a_share_of_the_peak() -> None:
    nodes = [NodeTime("reorder", "Reorder f32", 1.0, 0.25, 0), NodeTime("conv", "Convolution I8", 3.0, 0.75, 600_000)]
    peaks = {"int8": Peak("int8", Estimate(8e8, 8e8, 8e8), "somehow", {}, {})}
    shown = table(Profile("a plan", 8, "int8", nodes), peaks)
    console = Console(width=120)
    with console.capture() as capture:
        console.print(shown)
    text = capture.get()
    assert "a plan, batch 8: 4.00 ms in 2 nodes" in text
    assert text.index("conv") < text.index("reorder")
    assert "50%" in text  # 1.2 million operations in 3 ms are 0.4 of 0.8 billion a second
    assert [node.operations_per_second for node in nodes] == pytest.approx([0, 4e8])
