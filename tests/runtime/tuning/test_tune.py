"""Tuning: every plan measured or refused with a reason, the budget kept, and what is remembered then used."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ganport_runtime import BundleError, Generator, InputError, PlanError, latents
from ganport_runtime.batches import BUCKETS
from ganport_runtime.tuning.record import Budget
from ganport_runtime.tuning.trials import PlanTrial
from ganport_runtime.tuning.tuner import Tuning, tune

from tests.support.bundles import Weights, generator_graph, make_manifest, make_variety, write_manifest, write_variant

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tuned(variety: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tuning, list[tuple[int, int, str]]]:
    """A cache folder with the record of one tuning, what came of it, and the steps it told of."""
    steps: list[tuple[int, int, str]] = []
    folder = tmp_path_factory.mktemp("tuned-cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANPORT_CACHE", str(folder))
        tuning = tune(variety, budget=Budget(30), on_progress=lambda *step: steps.append(step))
    return folder, tuning, steps


Tuned = tuple[Path, Tuning, list[tuple[int, int, str]]]


def test_every_entry_on_every_backend_is_measured_or_refused(tuned: Tuned) -> None:
    _, tuning, _ = tuned
    measured = {(plan.entry, plan.backend) for plan in tuning.record.plans}
    behind = [refusal for refusal in tuning.refused if refusal.reason.startswith("far behind: ")]
    measured |= {(refusal.entry, refusal.runner.split()[0]) for refusal in behind}
    entries = ("generator-deconv-fp32", "generator-phase-fp32", "generator-phase-int8")
    assert measured == {(entry, backend) for entry in entries for backend in ("onnxruntime", "openvino")}
    refused = {refusal.plan: refusal.reason for refusal in tuning.refused}
    for entry in entries:
        assert f"{entry} by tensorrt on cuda" in refused
    assert all(refused.values())
    assert tuning.cut == ""


def test_the_figures_are_real(tuned: Tuned, weights: Weights) -> None:
    _, tuning, _ = tuned
    assert tuning.reference == "generator-deconv-fp32 by onnxruntime on cpu"
    for plan in tuning.record.plans:
        assert plan.images == 256
        assert all(speed > 0 for speed in plan.images_per_second.values())
        assert set(plan.images_per_second) == set(BUCKETS)
        assert plan.memory_mib is None or 0 <= plan.memory_mib < 1000
        if plan.precision == "fp32":
            assert plan.psnr_db_mean > 60
            assert plan.largest_difference <= 1
        if plan.precision == "int8":
            assert 30 < plan.psnr_db_mean < 60
            assert plan.psnr_db_worst <= plan.psnr_db_mean
    int8 = next(plan for plan in tuning.record.plans if plan.entry.endswith("int8"))
    assert int8.precision == "int8"
    assert int8.latency_ms(64) == pytest.approx(64e3 / int8.images_per_second[64])


def test_the_best_plan_of_a_bucket_is_the_fastest_or_as_good(tuned: Tuned) -> None:
    _, tuning, _ = tuned
    assert set(tuning.best) == set(BUCKETS)
    for bucket, best in tuning.best.items():
        speeds = [plan.images_per_second.get(bucket, 0) for plan in tuning.record.plans]
        assert best.images_per_second[bucket] >= 0.97 * max(speeds)
        speedup = tuning.speedup(bucket, best)
        assert speedup is not None
        assert speedup > 0


def test_what_was_found_is_used(tuned: Tuned, variety: Path, weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, tuning, _ = tuned
    monkeypatch.setenv("GANPORT_CACHE", str(folder))
    with Generator.open(variety) as generator:
        assert {id(plan) for plan in generator.plans.values()} == {id(generator.plan)}
        plan, chosen = generator.plan, tuning.chosen
        assert plan.tuned
        assert (plan.variant, plan.backend, plan.precision) == (chosen.entry, chosen.backend, chosen.precision)
        assert dict(chosen.options).items() <= dict(plan.options).items()
        for count in (0, 1, 3, 64, 131):
            images = generator.sample(count, seed=2)
            assert images.shape == (count, 16, 16, 3)
            assert np.abs(images - weights.images(latents(2, 0, count, 12))).max(initial=0) < 40
    with Generator.open(variety, one_plan=False) as generator:
        for bucket, plan in generator.plans.items():
            best = tuning.best[bucket]
            assert plan.tuned
            assert (plan.variant, plan.backend, plan.precision) == (best.entry, best.backend, best.precision)
            said, _, speed = plan.note.partition(" images/s ")[0].rpartition(": ")
            assert said == f"tuned {tuning.record.created}"
            assert int(speed) == pytest.approx(best.images_per_second[bucket], abs=1, rel=1e-5)  # rounded in the record
    with Generator.open(variety, precision="fp32") as generator:
        assert {plan.precision for plan in generator.plans.values()} == {"fp32"}
        assert generator.plan.tuned


def test_what_is_certain_and_what_plans_for_each_batch_size_would_add_is_said(tuned: Tuned) -> None:
    _, tuning, _ = tuned
    document = tuning.to_json()
    choice = document["choice"]
    assert choice["plan"] == document["plans"][0]["plan"]
    assert choice["for_batch"] is None
    assert choice["low"] <= choice["lead"] <= choice["high"]
    assert choice["certain"] is False  # after two rounds
    assert choice["rounds"] == 2
    added = document["plans_per_batch"]
    assert added["plans"] == len({best["plan"] for best in document["buckets"].values()})
    for bucket, best in document["buckets"].items():
        own = document["plans"][0]["images_per_second"][bucket]
        assert added["adds_percent_by_batch"][bucket] == pytest.approx(
            max(0, 100 * (best["images_per_second"] / own - 1)), abs=0.1
        )


def test_a_plan_can_be_chosen_for_one_batch_size(variety: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rough = PlanTrial.call

    def slowed(trial: PlanTrial, bucket: int) -> Callable[[], object]:
        """OpenVINO is fast at single images alone."""
        call, slow = rough(trial, bucket), (trial.candidate.backend == "openvino") == (bucket > 1)

        def slowed_call() -> None:
            time.sleep(0.05 if slow else 0)
            call()

        return slowed_call

    monkeypatch.setattr(PlanTrial, "call", slowed)
    for for_batch, backend in ((1, "openvino"), (48, "onnxruntime"), (None, "onnxruntime")):
        tuning = tune(variety, budget=Budget(0), seconds=8, for_batch=for_batch)
        assert tuning.record.choice is not None
        assert tuning.record.choice.for_batch == for_batch
        assert tuning.chosen.backend == backend
        with Generator.open(variety) as generator:
            assert generator.plan.backend == backend


def test_the_budget_is_kept_and_the_figure_said(variety: Path, cache: Path) -> None:
    tuning = tune(variety, budget=Budget(58), seconds=float("inf"))  # as long as it takes
    assert {plan.precision for plan in tuning.record.plans} <= {"fp32", "bf16"}
    reasons = {refusal.plan: refusal.reason for refusal in tuning.refused}
    reason = reasons["generator-phase-int8 by onnxruntime on cpu"]
    assert reason.startswith("over the budget: PSNR mean ")
    assert reason.endswith("wanted a mean PSNR of 58 dB or more")
    with Generator.open(variety) as generator:
        assert generator.plan.precision != "int8"
    with Generator.open(variety, precision="int8") as generator:
        assert not generator.plan.tuned
        assert "the tuning record holds no measured plan of what was asked for" in generator.plan.note


def test_the_largest_difference_can_be_the_budget(variety: Path, cache: Path) -> None:
    tuning = tune(variety, budget=Budget(0, max_worst=1))
    assert all(plan.largest_difference <= 1 for plan in tuning.record.plans)
    reasons = [refusal.reason for refusal in tuning.refused if "int8 by openvino" in refusal.plan]
    assert any("wanted a largest difference of 1 at most" in reason for reason in reasons)


def test_too_little_time_is_said_and_leaves_a_record(variety: Path, cache: Path) -> None:
    tuning = tune(variety, seconds=0.001)
    assert len(tuning.record.plans) == 1
    left_out = [refusal for refusal in tuning.refused if refusal.reason == "not measured: 0.001 s are over"]
    assert len(left_out) > 3
    assert tuning.cut == f"{len(left_out)} plans were not measured, for 0.001 s are over; --seconds gives more"
    assert tuning.file is not None
    with Generator.open(variety) as generator:
        assert generator.plan.tuned


def test_a_cache_that_cannot_be_written_is_said(variety: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("GANPORT_CACHE", str(tmp_path / "file"))
    tuning = tune(variety, seconds=0.001)
    assert tuning.file is None
    assert tuning.note.startswith("the record could not be written, so nothing is remembered: ")


@pytest.mark.parametrize("seconds", [0.0, -5.0, float("nan")])
def test_seconds_that_are_no_time_are_refused(variety: Path, seconds: float) -> None:
    with pytest.raises(InputError, match=f"seconds is {seconds}, wanted a number above 0"):
        tune(variety, seconds=seconds)


def test_a_budget_that_nothing_keeps_is_one_line(variety: Path, cache: Path) -> None:
    with pytest.raises(PlanError, match=r"no plan of .* runs here within a mean PSNR of 101 dB") as caught:
        tune(variety, budget=Budget(101), seconds=0.001)
    assert "\n" not in str(caught.value)
    assert not cache.exists() or not list(cache.rglob("*.json"))


def test_an_altered_bundle_is_refused(tmp_path: Path, weights: Weights, cache: Path) -> None:
    path = make_variety(tmp_path / "altered.ganport", weights)
    (path / "generator-phase-int8.onnx").write_bytes(b"altered")
    with pytest.raises(BundleError, match="was altered"):
        tune(path)


def test_a_bundle_without_fp32_has_nothing_to_compare_with(tmp_path: Path, weights: Weights, cache: Path) -> None:
    path = tmp_path / "int8.ganport"
    path.mkdir()
    variant = write_variant(path, "generator", generator_graph(weights), precision="int8")
    write_manifest(path, make_manifest(weights, [variant], discriminator=False).to_json())
    with pytest.raises(PlanError, match="no fp32 plan of"):
        tune(path)


def test_steps_are_told_in_order(tuned: Tuned) -> None:
    *_, steps = tuned
    assert [done for done, _, _ in steps] == list(range(len(steps)))
    assert steps[-1][1] >= len(steps)
    assert steps[-1][2].startswith("round 2: ")
