"""Chooses for each bucket among the candidates: by the tuning record where one applies, else the safest default."""

from collections.abc import Sequence
from dataclasses import dataclass

from ganport_runtime import fingerprint
from ganport_runtime.backends import BACKENDS, load_backend
from ganport_runtime.buckets import BUCKETS, TOP
from ganport_runtime.bundle import Bundle
from ganport_runtime.entries import Role
from ganport_runtime.plan import UNTUNED, Candidate, Request
from ganport_runtime.survey import refusal_of
from ganport_runtime.text import one_line
from ganport_runtime.tuning import MeasuredPlan, TuningRecord, best_overall, find_record, winners

__all__ = ["Choice", "choose"]

UNMEASURED = "not tuned: the tuning record holds no measured plan of what was asked for"
UNOPENED = "not tuned: no plan of the tuning record that was asked for could be used"


@dataclass(frozen=True)
class Choice:
    """A candidate for a bucket, whether it was measured here, and what there is to say of the choice."""

    candidate: Candidate
    tuned: bool
    note: str


def choose(
    bundle: Bundle, role: Role, request: Request, available: Sequence[Candidate]
) -> dict[int, tuple[Choice, ...]]:
    """For every bucket the candidates to try, in this order: the measured ones, then the untuned ones.

    Where one plan is asked for, the measured ones are ranked by what they do over all buckets, for every bucket alike.
    """
    if request.threads is not None:
        return _untuned(available, "not tuned: a number of threads was asked for, and tuning chooses its own")
    record = find_record(bundle, role, fingerprint.machine)
    if record is None:
        return _untuned(available, UNTUNED)
    if isinstance(record, TuningRecord):
        return _by_record(bundle, role, request, available, record)
    return _untuned(available, _not_tuned(bundle, record))


def _by_record(
    bundle: Bundle, role: Role, request: Request, available: Sequence[Candidate], record: TuningRecord
) -> dict[int, tuple[Choice, ...]]:
    changed = (
        *fingerprint.changes(record.machine, fingerprint.machine()),
        *fingerprint.changes(record.engines, fingerprint.engines()),
    )
    if changed:
        return _untuned(available, _not_tuned(bundle, one_line(f"since {record.created} {', '.join(changed)}")))
    plans = [plan for plan in record.plans if record.budget.keeps(plan)]
    known = {_key(plan): candidate for plan in plans if (candidate := _candidate(bundle, role, plan))}
    wanted = [plan for plan in plans if _key(plan) in known and not refusal_of(known[_key(plan)], request)]
    ranked = dict.fromkeys(BUCKETS, best_overall(wanted)) if request.one_plan else winners(wanted)
    return {
        bucket: tuple(
            _tuned(known[_key(plan)], plan, TOP if request.one_plan else bucket, record)
            for plan in ranked.get(bucket, ())
        )
        + _untuned(available, UNOPENED if ranked.get(bucket) else UNMEASURED)[bucket]
        for bucket in BUCKETS
    }


def _tuned(candidate: Candidate, plan: MeasuredPlan, bucket: int, record: TuningRecord) -> Choice:
    measured = bucket if bucket in plan.images_per_second else max(plan.images_per_second)
    speed, psnr = plan.images_per_second[measured], plan.psnr_db_mean
    note = (
        f"tuned {record.created}: {speed:.0f} images/s at batch {measured}, PSNR {psnr:.1f} dB, within {record.budget}"
    )
    return Choice(candidate, True, note)


def _untuned(available: Sequence[Candidate], note: str) -> dict[int, tuple[Choice, ...]]:
    return dict.fromkeys(BUCKETS, tuple(Choice(candidate, False, note) for candidate in available))


def _not_tuned(bundle: Bundle, reason: str) -> str:
    return f"not tuned: the tuning record does not apply, {reason}; run ganport tune {bundle.path} again"


def _candidate(bundle: Bundle, role: Role, plan: MeasuredPlan) -> Candidate | None:
    """The candidate that a measured plan names, or None where a record from elsewhere names what is not there."""
    entry = next((entry for entry in bundle.entries(role) if entry.id == plan.entry), None)
    if entry is None or plan.backend not in BACKENDS or plan.device not in load_backend(plan.backend).devices:
        return None
    return Candidate(entry, plan.backend, plan.device, plan.options)


def _key(plan: MeasuredPlan) -> tuple[object, ...]:
    return plan.entry, plan.backend, plan.device, tuple(sorted(plan.options.items()))
