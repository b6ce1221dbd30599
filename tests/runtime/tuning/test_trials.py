"""Trying plans out: what is broken at one batch size alone, and what is kept although others are faster."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from ganport_runtime import Generator
from ganport_runtime.tuning.record import Budget
from ganport_runtime.tuning.trials import PlanTrial
from ganport_runtime.tuning.tuner import tune
from onnx import helper, numpy_helper

from tests.support.bundles import Weights, generator_graph, make_manifest, write_manifest, write_variant

pytestmark = pytest.mark.slow


def broken_at_batch_2(weights: Weights) -> onnx.ModelProto:
    """The generator, whose images are black in batches of two: what a graph compiled for one bucket may be."""
    model = generator_graph(weights)
    nodes = [
        helper.make_node("Shape", ["z"], ["shape"], end=1),
        helper.make_node("Equal", ["shape", "two"], ["is.two"]),
        helper.make_node("Where", ["is.two", "low", "one"], ["kept"]),
        helper.make_node("Mul", ["c", "kept"], ["c.kept"]),
    ]
    model.graph.initializer.append(numpy_helper.from_array(np.array([2]), "two"))
    place = next(index for index, node in enumerate(model.graph.node) if node.op_type == "Reshape")
    model.graph.node[place].input[0] = "c.kept"
    before, after = model.graph.node[:place], model.graph.node[place:]
    del model.graph.node[:]
    model.graph.node.extend([*before, *nodes, *after])
    onnx.checker.check_model(model, full_check=True)
    return model


def test_a_plan_that_is_broken_at_one_batch_size_alone_is_refused(
    tmp_path: Path, weights: Weights, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganport_runtime.tuning.trials.FAR", 0.0)  # nobody is behind before that is found out
    path = tmp_path / "broken.ganport"
    path.mkdir()
    right = write_variant(path, "generator", generator_graph(weights))
    broken = write_variant(path, "generator", broken_at_batch_2(weights), form="phase")
    write_manifest(path, make_manifest(weights, [right, broken], discriminator=False).to_json())
    tuning = tune(path)
    assert {plan.entry for plan in tuning.record.plans} == {"generator-deconv-fp32"}
    reasons = {refusal.plan: refusal.reason for refusal in tuning.refused}
    reason = reasons["generator-phase-fp32 by onnxruntime on cpu"]
    assert reason.startswith("at batch 2 over the budget: PSNR mean ")


def test_the_fastest_of_what_callers_may_ask_for_stays_however_far_behind(
    variety: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganport_runtime.tuning.trials.FAR", 1e9)  # of every kind all but the first are behind
    tuning = tune(variety, budget=Budget(30))
    kinds = {(plan.backend, plan.device, plan.precision) for plan in tuning.record.plans}
    for backend in ("onnxruntime", "openvino"):
        assert {(backend, "cpu", "fp32"), (backend, "cpu", "int8")} <= kinds
    behind = [refusal.reason for refusal in tuning.refused if refusal.reason.startswith("far behind: ")]
    assert behind
    assert all(" images/s at batch 1, " in reason and " images/s at batch 8; " in reason for reason in behind)
    with Generator.open(variety, backend="openvino", precision="fp32") as generator:
        assert generator.plan.tuned


def test_a_plan_that_is_behind_at_one_batch_size_alone_is_measured(
    variety: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rough = PlanTrial.images_per_second

    def slowed(trial: PlanTrial, at: int) -> float:
        is_slow = at == 8 and "phase" in trial.candidate.entry.id
        return rough(trial, at) / (1e3 if is_slow else 1)

    monkeypatch.setattr(PlanTrial, "images_per_second", slowed)
    monkeypatch.setattr("ganport_runtime.tuning.trials.FAR", 0.01)  # the tests' tiny networks vary
    tuning = tune(variety, budget=Budget(30))
    assert not [refusal for refusal in tuning.refused if "far behind" in refusal.reason]
    assert "generator-phase-fp32" in {plan.entry for plan in tuning.record.plans}
