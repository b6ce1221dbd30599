"""What tuning found: every plan's figures, every refusal, and the best plan for each bucket."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from ganport_runtime.plan import Candidate
from ganport_runtime.tuning import MeasuredPlan, TuningRecord, winners

__all__ = ["RefusedPlan", "Tuning", "title"]


@dataclass(frozen=True)
class RefusedPlan:
    """A plan that is not in the record, and why.

    Attributes:
        plan: what people call it.
        entry: id of the variant or engine.
        runner: the backend, the device where that is not the CPU, and the options.
        reason: why not.
    """

    plan: str
    entry: str
    runner: str
    reason: str

    @classmethod
    def of(cls, candidate: Candidate, reason: str) -> Self:
        """A refused candidate."""
        return cls(str(candidate), candidate.entry.id, str(candidate).partition(" by ")[2], reason)


@dataclass(frozen=True)
class Tuning:
    """The outcome of one tuning.

    Attributes:
        record: what is remembered: every plan measured that is within the budget.
        file: the record's file, or None where it could not be written.
        note: why not, or empty.
        reference: the plan whose images the others were compared with.
        untuned: the plan that runs without tuning.
        refused: every other plan, with its reason.
        cut: what was left out for lack of time, or empty.
        seconds: how long it took.
    """

    record: TuningRecord
    file: Path | None
    note: str
    reference: str
    untuned: MeasuredPlan | None
    refused: tuple[RefusedPlan, ...]
    cut: str
    seconds: float

    @property
    def best(self) -> dict[int, MeasuredPlan]:
        """The best plan for each bucket."""
        return {bucket: plans[0] for bucket, plans in winners(self.record.plans).items()}

    def to_json(self) -> dict[str, Any]:
        """The document of `ganport tune --json`."""
        record = self.record
        return {
            "bundle": record.bundle,
            "digest": record.digest,
            "host": {**record.machine, "engines": dict(record.engines)},
            "budget": asdict(record.budget),
            "reference": self.reference,
            "buckets": {str(bucket): self._choice(bucket, plan) for bucket, plan in self.best.items()},
            "plans": [{"plan": title(plan), **plan.to_json()} for plan in record.plans],
            "refused": [{"plan": refusal.plan, "reason": refusal.reason} for refusal in self.refused],
            "record": None if self.file is None else str(self.file),
            "note": "; ".join(text for text in (self.note, self.cut) if text),
            "seconds": round(self.seconds, 1),
        }

    def speedup(self, bucket: int) -> float | None:
        """How many times as fast as the untuned plan the best one is, or None where that was not measured."""
        if self.untuned is None or bucket not in self.untuned.images_per_second:
            return None
        return self.best[bucket].images_per_second[bucket] / self.untuned.images_per_second[bucket]

    def _choice(self, bucket: int, plan: MeasuredPlan) -> dict[str, Any]:
        speedup, figures = self.speedup(bucket), plan.to_json()
        return {
            "plan": title(plan),
            "entry": plan.entry,
            "backend": plan.backend,
            "device": plan.device,
            "options": dict(plan.options),
            "precision": plan.precision,
            "images_per_second": figures["images_per_second"][str(bucket)],
            "latency_ms": figures["latency_ms"][str(bucket)],
            "psnr_db_mean": plan.psnr_db_mean,
            "times_untuned": None if speedup is None else round(speedup, 3),
        }


def title(plan: MeasuredPlan) -> str:
    """What people call a plan."""
    options = "".join(f", {key} {value}" for key, value in plan.options.items())
    return f"{plan.entry} by {plan.backend} on {plan.device}{options}"
