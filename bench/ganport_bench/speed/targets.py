"""What ganport promises about speed, each beside what was measured."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ganport_bench.speed.ceilings import Ceilings
from ganport_bench.speed.measured import Comparison, Measured, speedup
from ganport_bench.speed.selection import WANTED_DB
from ganport_bench.speed.summary import Summary, summarize
from ganport_bench.timing import Estimate

__all__ = ["Target", "targets_of"]

LARGE, ONE = 64, 1
OVER_FP32, OVER_ANY, OVER_ANY_ONE, OVER_EXACT = 3.0, 2.0, 2.0, 1.0
SHARE_PERCENT = 60.0


@dataclass(frozen=True)
class Target:
    """One promise.

    Attributes:
        name: key in documents.
        title: what is compared with what, for people.
        unit: of `estimate` and `wanted`.
        wanted: reached where the estimate's value is at least this.
        estimate: what was measured; None where one side was not there.
        details: who, and their images a second.
    """

    name: str
    title: str
    unit: str
    wanted: float
    estimate: Estimate | None
    details: Mapping[str, str | float] = field(default_factory=dict)

    @property
    def is_reached(self) -> bool:
        """Whether the value is there and at least what is wanted."""
        return self.estimate is not None and self.estimate.value >= self.wanted

    @property
    def is_certain(self) -> bool:
        """Whether the whole interval lies on the same side as the value."""
        return self.estimate is None or self.estimate.low >= self.wanted or self.estimate.high < self.wanted

    def to_json(self) -> dict[str, Any]:
        """The target's part of the document."""
        return {**asdict(self), "is_reached": self.is_reached, "is_certain": self.is_certain}


def targets_of(comparisons: Sequence[Comparison], ceilings: Ceilings) -> list[Target]:
    """Every promise that concerns a batch size which was measured.

    Args:
        comparisons: one a batch size.
        ceilings: of this machine.
    """
    summaries = {comparison.batch: summarize(comparison.measured) for comparison in comparisons}
    return [
        *_over_peers(summaries),
        *(_exact(batch, summary) for batch, summary in summaries.items()),
        *([_share(summaries[LARGE].best_plan, ceilings)] if LARGE in summaries else []),
    ]


def _over_peers(summaries: Mapping[int, Summary]) -> Iterator[Target]:
    at = f"batch {{}}, {WANTED_DB:g} dB: over the best {{}}"
    if LARGE in summaries:
        best = summaries[LARGE]
        title = at.format(LARGE, "fp32 peer")
        yield _ratio("batch_64_over_fp32_peer", title, OVER_FP32, best.best_plan, best.best_peer_fp32)
        title = at.format(LARGE, "peer of any precision")
        yield _ratio("batch_64_over_any_peer", title, OVER_ANY, best.best_plan, best.best_peer)
    if ONE in summaries:
        best = summaries[ONE]
        title = at.format(ONE, "peer of any precision")
        yield _ratio("batch_1_over_any_peer", title, OVER_ANY_ONE, best.best_plan, best.best_peer)


def _exact(batch: int, best: Summary) -> Target:
    title = f"batch {batch}, exact fp32: over the best fp32 peer"
    return _ratio(f"batch_{batch}_exact", title, OVER_EXACT, best.best_exact_plan, best.best_peer_fp32)


def _ratio(name: str, title: str, wanted: float, plan: Measured | None, peer: Measured | None) -> Target:
    sides = {"plan": plan, "peer": peer}
    return Target(name, title, "x", wanted, speedup(plan, peer), _details(sides))


def _share(plan: Measured | None, ceilings: Ceilings) -> Target:
    precision = "int8" if plan is None else plan.precision
    peak = None if plan is None else ceilings.peak(plan.device, precision)
    estimate, details = None, _details({"plan": plan})
    if plan is not None and peak is not None:
        at_peak = peak.images_per_second(ceilings.demand.multiply_adds)
        estimate = plan.images_per_second.scaled(100 / at_peak)
        details = {**details, "images_per_second_at_peak": round(at_peak, 1)}
    title = f"batch {LARGE}: share of the machine's {precision} matrix-product peak"
    return Target("batch_64_share_of_peak", title, "%", SHARE_PERCENT, estimate, details)


def _details(sides: Mapping[str, Measured | None]) -> dict[str, str | float]:
    details: dict[str, str | float] = {}
    for side, one in sides.items():
        details[side] = "none" if one is None else one.name
        if one is not None:
            details[f"{side}_images_per_second"] = round(one.images_per_second.value, 1)
    return details
