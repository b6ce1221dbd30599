"""The tuning record: what it says is used for each bucket, as far as it is asked for and runs."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ganport_runtime import Batcher, Discriminator, Generator, InputError, latents
from ganport_runtime.backends.openvino import OpenVinoSession
from ganport_runtime.batches import BUCKETS
from ganport_runtime.tuning.record import Budget, MeasuredPlan, TuningRecord, best_overall, winners
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.bundles import Weights, add_probe
from tests.support.records import INT8, ONNXRUNTIME, OPENVINO, note, speeds, write_record

pytestmark = pytest.mark.usefixtures("cache")


def test_each_bucket_runs_the_plan_that_was_fastest_there(variety: Path, weights: Weights) -> None:
    write_record(
        variety, speeds(ONNXRUNTIME, b1=300.0, b2=300.0), speeds(OPENVINO, b8=250.0, b64=400.0), speeds(INT8, b16=900.0)
    )
    with Generator.open(variety, one_plan=False) as generator:
        ran = {bucket: (plan.variant, plan.backend, plan.tuned) for bucket, plan in generator.plans.items()}
        assert ran[1] == ran[2] == ("generator-phase-fp32", "onnxruntime", True)
        assert ran[8] == ran[64] == ("generator-phase-fp32", "openvino", True)
        assert ran[16] == ("generator-phase-int8", "onnxruntime", True)
        assert generator.plan is generator.plans[64]
        assert generator.plan.threads == 1
        assert "tuned 2026-11-23T12:00:00+00:00: 400 images/s at batch 64, PSNR 100.0 dB, within" in generator.plan.note
        for count in (0, 1, 2, 3, 8, 33, 64, 65, 131):
            images = generator.sample(count, seed=3)
            assert np.abs(images - weights.images(latents(3, 0, count, 12))).max(initial=0) < 0.501


def test_one_plan_is_the_one_that_does_best_over_all_buckets(variety: Path) -> None:
    write_record(variety, speeds(ONNXRUNTIME, b1=300.0, b64=90.0), speeds(OPENVINO, b8=250.0, b64=400.0))
    with Generator.open(variety) as generator, Generator.open(variety, one_plan=False) as usual:
        assert {id(plan) for plan in generator.plans.values()} == {id(generator.plan)}
        assert (generator.plan.backend, generator.plan.tuned) == ("openvino", True)
        assert generator.plan.note.startswith("tuned 2026-11-23T12:00:00+00:00: 400 images/s at batch 64")
        assert usual.plans[1].backend == "onnxruntime"
        assert usual.plan.backend == "openvino"


def test_one_plan_that_fails_the_probe_at_one_bucket_gives_way_at_all(
    variety: Path, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_probe(variety, weights)
    write_record(variety, speeds(OPENVINO, b8=900.0), ONNXRUNTIME)
    run = OpenVinoSession.run

    def wrong(self: OpenVinoSession, outputs: Any, inputs: Any) -> Any:
        (z,) = inputs.values()
        return [images ^ 255 if len(z) == 2 else images for images in run(self, outputs, inputs)]

    monkeypatch.setattr(OpenVinoSession, "run", wrong)
    with Generator.open(variety) as generator, Generator.open(variety, one_plan=False) as usual:
        assert {plan.backend for plan in generator.plans.values()} == {"onnxruntime"}
        assert "it fails the bundle's probe at batch 2" in generator.plan.note
        assert {bucket for bucket, plan in usual.plans.items() if plan.backend == "onnxruntime"} == {2}


def test_a_plan_of_several_buckets_is_opened_once(variety: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ganport_runtime import opening

    opened: list[str] = []
    load = opening.open_candidate

    def noted(bundle: Any, role: Any, candidate: Any, *rest: Any) -> Any:
        opened.append(str(candidate))
        return load(bundle, role, candidate, *rest)

    monkeypatch.setattr(opening, "open_candidate", noted)
    write_record(variety, speeds(ONNXRUNTIME, b1=300.0), speeds(OPENVINO, b64=300.0))
    Generator.open(variety, one_plan=False).close()
    assert len(opened) == len(set(opened)) == 2


@pytest.mark.parametrize(
    ("asked", "entry", "backend"),
    [
        ({}, "generator-phase-int8", "onnxruntime"),
        ({"precision": "fp32"}, "generator-phase-fp32", "openvino"),
        ({"precision": "fp32", "backend": "onnxruntime"}, "generator-phase-fp32", "onnxruntime"),
        ({"precision": "int8"}, "generator-phase-int8", "onnxruntime"),
        ({"backend": "openvino", "device": "cpu"}, "generator-phase-fp32", "openvino"),
    ],
)
def test_what_is_asked_for_narrows_the_record(variety: Path, asked: dict[str, Any], entry: str, backend: str) -> None:
    faster = {f"b{bucket}": 200.0 for bucket in BUCKETS}
    fastest = {f"b{bucket}": 400.0 for bucket in BUCKETS}
    write_record(variety, ONNXRUNTIME, speeds(OPENVINO, **faster), speeds(INT8, **fastest))
    with Generator.open(variety, **asked) as generator:
        for plan in generator.plans.values():
            assert (plan.variant, plan.backend, plan.tuned) == (entry, backend, True)


def test_a_bucket_that_was_not_measured_is_not_tuned(variety: Path) -> None:
    write_record(variety, replace(ONNXRUNTIME, images_per_second={64: 100.0}))
    with Generator.open(variety, one_plan=False) as generator:
        assert [bucket for bucket, plan in generator.plans.items() if plan.tuned] == [64]
        assert generator.plans[1].variant == "generator-deconv-fp32"


def test_threads_that_are_asked_for_leave_the_record_aside(variety: Path) -> None:
    write_record(variety, OPENVINO)
    assert "not tuned: a number of threads was asked for" in note(variety, threads=1)


def test_the_discriminator_is_not_tuned_by_the_generators_record(own_bundle: Path) -> None:
    write_record(own_bundle, replace(OPENVINO, entry="generator-deconv-fp32"))
    assert note(own_bundle).startswith("tuned")
    with Discriminator.open(own_bundle) as discriminator:
        assert not discriminator.plan.tuned


@pytest.mark.parametrize(
    "wrong",
    [
        replace(OPENVINO, entry="generator-subpixel-fp32"),
        replace(OPENVINO, backend="tvm"),
        replace(OPENVINO, device="tpu"),
        replace(OPENVINO, options={"wings": "2"}),
        replace(OPENVINO, entry="generator-deconv-fp32", backend="tensorrt", device="cuda"),
    ],
)
def test_a_plan_that_cannot_run_gives_way_to_the_next(variety: Path, wrong: MeasuredPlan) -> None:
    fastest = {f"b{bucket}": 900.0 for bucket in BUCKETS}
    write_record(variety, speeds(wrong, **fastest), ONNXRUNTIME)
    with Generator.open(variety) as generator:
        assert (generator.plan.variant, generator.plan.backend) == ("generator-phase-fp32", "onnxruntime")
        assert generator.plan.tuned
        if wrong.options == {"wings": "2"}:
            assert any("has no option 'wings'" in str(refusal) for refusal in generator.plan.refusals)
            assert "; instead of generator-phase-fp32 by openvino on cpu, wings 2: openvino has no option 'wings'" in (
                generator.plan.note
            )


def test_where_no_measured_plan_opens_the_note_names_it(variety: Path) -> None:
    write_record(variety, replace(OPENVINO, options={"wings": "2"}))
    said = note(variety)
    assert said.startswith("not tuned: no plan of the tuning record that was asked for could be used; instead of ")
    assert "has no option 'wings'" in said


def test_plans_over_the_records_own_budget_are_not_used(variety: Path) -> None:
    fastest = {f"b{bucket}": 900.0 for bucket in BUCKETS}
    write_record(variety, ONNXRUNTIME, speeds(replace(INT8, psnr_db_mean=34.9), **fastest))
    with Generator.open(variety) as generator:
        assert {plan.variant for plan in generator.plans.values()} == {"generator-phase-fp32"}
    write_record(variety, ONNXRUNTIME, speeds(replace(INT8, largest_difference=9), **fastest), budget=Budget(35, 8))
    with Generator.open(variety) as generator:
        assert {plan.variant for plan in generator.plans.values()} == {"generator-phase-fp32"}


@pytest.mark.parametrize(
    ("psnr", "worst"), [(float("nan"), None), (float("inf"), None), (-1.0, None), ("35", None), (35, -1), (35, 256)]
)
def test_a_budget_that_is_none_is_refused(psnr: Any, worst: Any) -> None:
    with pytest.raises(InputError, match=r"^(min_psnr_db|max_worst) is .*, wanted "):
        Budget(psnr, worst)


def test_a_record_reads_back_as_it_was_written(variety: Path) -> None:
    file = write_record(variety, ONNXRUNTIME, INT8)
    record = TuningRecord.from_json(json.loads(file.read_bytes()))
    assert record.plans == (ONNXRUNTIME, INT8)
    assert record.budget == Budget(35.0, None)
    assert json.loads(file.read_bytes())["plans"][0]["latency_ms"]["64"] == 640.0


@given(st.lists(st.dictionaries(st.sampled_from(BUCKETS), st.floats(1, 1e5)), max_size=6))
def test_the_winner_is_the_fastest_or_as_good(measured: list[dict[int, float]]) -> None:
    plans = [replace(ONNXRUNTIME, entry=f"v{k}", images_per_second=speed) for k, speed in enumerate(measured)]
    ranked = winners(plans)
    assert set(ranked) == {bucket for speed in measured for bucket in speed}
    for bucket, order in ranked.items():
        found = [plan.images_per_second[bucket] for plan in order]
        assert sorted(found) == sorted(speed[bucket] for speed in measured if bucket in speed)
        near = [speed for speed in found if speed >= 0.97 * max(found)]
        assert found[: len(near)] == near
        assert found[len(near) :] == sorted(found[len(near) :], reverse=True)


def test_buckets_share_a_plan_where_it_is_as_good() -> None:
    first = replace(ONNXRUNTIME, entry="a", images_per_second={64: 1000.0, 32: 980.0, 16: 900.0})
    second = replace(ONNXRUNTIME, entry="b", images_per_second={64: 990.0, 32: 1000.0, 16: 1000.0})
    third = replace(ONNXRUNTIME, entry="c", images_per_second={64: 500.0, 32: 1005.0, 16: 960.0})
    ranked = winners([first, second, third])
    assert {bucket: [plan.entry for plan in order] for bucket, order in ranked.items()} == {
        64: ["b", "a", "c"], 32: ["b", "a", "c"], 16: ["b", "c", "a"],
    }  # fmt: skip


@pytest.mark.parametrize(("speed", "is_first"), [(1010.0, True), (975.0, True), (960.0, False)])
def test_of_plans_that_are_as_good_the_one_with_fewer_settings_comes_first(speed: float, is_first: bool) -> None:
    more = replace(ONNXRUNTIME, images_per_second=dict.fromkeys(BUCKETS, 1000.0))
    fewer = replace(ONNXRUNTIME, images_per_second=dict.fromkeys(BUCKETS, speed), options={})
    assert best_overall([more, fewer]) == ((fewer, more) if is_first else (more, fewer))


def test_what_counts_over_all_batch_sizes_is_the_geometric_mean_or_the_one_that_is_named() -> None:
    at_one = replace(ONNXRUNTIME, images_per_second={1: 400.0, 64: 1000.0})
    at_many = replace(OPENVINO, images_per_second={1: 200.0, 64: 1900.0})
    assert best_overall([at_many, at_one])[0] is at_one  # sqrt(1 x 1000/1900) > sqrt(1/2 x 1)
    assert best_overall([at_one, at_many], for_batch=33)[0] is at_many
    assert best_overall([at_one, at_many], for_batch=1000)[0] is at_many
    assert best_overall([at_many, at_one], for_batch=1)[0] is at_one


@pytest.mark.parametrize("plan", [ONNXRUNTIME, OPENVINO, INT8, replace(OPENVINO, entry="generator-phase-int8")])
def test_an_image_of_a_seed_is_the_same_bytes_for_every_count_and_in_a_batcher(
    variety: Path, plan: MeasuredPlan
) -> None:
    fastest = {f"b{bucket}": 300.0 for bucket in BUCKETS}
    write_record(variety, speeds(plan, **fastest), speeds(ONNXRUNTIME, b1=900.0), speeds(OPENVINO, b2=900.0))
    with Generator.open(variety) as generator, Batcher(generator) as batcher:
        assert (generator.plan.variant, generator.plan.backend, generator.plan.tuned) == (
            plan.entry,
            plan.backend,
            True,
        )
        wanted = generator.sample(131, seed=3)

        @settings(max_examples=40, deadline=None)
        @given(st.integers(0, 130).flatmap(lambda start: st.tuples(st.just(start), st.integers(1, 131 - start))))
        def same(place: tuple[int, int]) -> None:
            start, count = place
            assert (generator.sample(count, seed=3, start=start) == wanted[start : start + count]).all()
            served = batcher.submit(seed=3, start=start, count=count).result()
            assert (served == wanted[start : start + count]).all()

        same()
