"""Tuning records of plans that nobody measured, for the bundle that `make_variety` writes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from ganport_runtime import Bundle, Generator, machine
from ganport_runtime.backends import engine_versions
from ganport_runtime.batches import BUCKETS
from ganport_runtime.tuning.record import Budget, MeasuredPlan, TuningRecord, save

ONNXRUNTIME = MeasuredPlan(
    entry="generator-phase-fp32",
    backend="onnxruntime",
    device="cpu",
    options={"threads": "1"},
    precision="fp32",
    images_per_second=dict.fromkeys(BUCKETS, 100.0),
    psnr_db_mean=100.0,
    psnr_db_worst=100.0,
    largest_difference=0,
    images=256,
)
OPENVINO = replace(ONNXRUNTIME, backend="openvino", options={"precision_hint": "f32", "threads": "1"})
INT8 = replace(ONNXRUNTIME, entry="generator-phase-int8", precision="int8", psnr_db_mean=45.0)


def write_record(path: Path, *plans: MeasuredPlan, **changed: Any) -> Path:
    """Remember plans for a bundle on this machine, with some of the record's fields changed, and return the file."""
    bundle = Bundle.open(path)
    record = TuningRecord(
        digest=bundle.digest,
        bundle=str(bundle.path.resolve()),
        role="generator",
        created="2026-11-23T12:00:00+00:00",
        budget=Budget(),
        machine=machine.facts(),
        engines=engine_versions(),
        plans=plans,
    )
    return save(replace(record, **changed), bundle)


def speeds(plan: MeasuredPlan, **by_bucket: float) -> MeasuredPlan:
    """The plan with other speeds at some buckets, as `b8=300.0`."""
    return replace(
        plan, images_per_second={**plan.images_per_second, **{int(key[1:]): value for key, value in by_bucket.items()}}
    )


def note(path: Path, **asked: Any) -> str:
    with Generator.open(path, **asked) as generator:
        assert generator.plan.tuned is generator.plan.note.startswith("tuned 2026")
        return generator.plan.note
