"""What people read: the ceilings, a table a batch size, and the targets, reached or not."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ganport_bench.speed.comparison import Comparison
from ganport_bench.speed.document import Results, row
from ganport_bench.speed.summary import speedup, summarize
from ganport_bench.speed.targets import Target

__all__ = ["report"]

GIGA = 1e9


def report(results: Results) -> RenderableType:
    """Everything, in the order in which it is best read: the targets last, where the eye ends up."""
    tables = [_batch(comparison, results) for comparison in results.comparisons]
    missing = [Text(line) for line in _missing(results.comparisons)]
    return Group(_ceilings(results), *tables, *missing, _targets(results.targets))


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column)
    return table


def _ceilings(results: Results) -> Table:
    title = f"This machine's ceilings, for {results.multiply_adds / 1e6:.1f} million multiply-adds an image"
    table = _table(title, ("precision", "Gop/s", "95 % interval", "images/s at the peak", "measured by"))
    for peak in results.peaks.values():
        rate = peak.operations_per_second.scaled(1 / GIGA)
        at_peak = peak.images_per_second(results.multiply_adds)
        cells = (peak.precision, f"{rate.value:.0f}", f"{rate.low:.0f} to {rate.high:.0f}", f"{at_peak:,.0f}", peak.how)
        table.add_row(*map(Text, cells))
    return table


def _batch(comparison: Comparison, results: Results) -> RenderableType:
    columns = ("system", "precision", "images/s", "95 % interval", "p50 ms", "p99 ms", "x best fp32 peer")
    table = _table(f"Batch {comparison.batch}", (*columns, "PSNR dB (worst)", "of peak", "setting"))
    best = summarize(comparison).best_peer_fp32
    notes: list[str] = []
    for one in sorted(comparison.measured, key=lambda one: -one.images_per_second.value):
        facts = row(one, results)
        times = speedup(one, best)
        shown = "" if times is None else f"{times.value:.2f} ({times.low:.2f} to {times.high:.2f})"
        table.add_row(*map(Text, _cells(facts, shown)), style="bold" if one.kind == "plan" else "")
        if facts["note"]:
            notes.append(f"{one.name}: {facts['note']}")
    return Group(table, *(Text(f"  {note}") for note in notes))


def _cells(facts: Mapping[str, Any], times: str) -> tuple[str, ...]:
    difference, share = facts["difference"], facts["share_of_ceiling"]
    psnr = "" if difference is None else f"{difference['psnr_db_mean']:.1f} ({difference['psnr_db_worst']:.1f})"
    return (
        facts["system"],
        facts["precision"],
        f"{facts['images_per_second']:,.0f}",
        f"{facts['low']:,.0f} to {facts['high']:,.0f}",
        f"{facts['latency_ms']['p50']:.2f}",
        f"{facts['latency_ms']['p99']:.2f}",
        times,
        psnr if facts["correct"] else f"{psnr} WRONG".strip(),
        "" if share is None else f"{share:.0%}",
        ", ".join(f"{key} {value}" for key, value in facts["settings"].items()),
    )


def _missing(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """Who did not run, one line a reason; the document names everyone."""
    names: dict[str, dict[str, None]] = {}
    for comparison in comparisons:
        for name, reason in comparison.missing.items():
            names.setdefault(reason, {})[name] = None
    for reason, (first, *others) in names.items():
        yield f"not measured: {first}{f' and {len(others)} more' if others else ''}: {reason}"


def _targets(targets: Sequence[Target]) -> Table:
    table = _table("What was promised", ("what", "measured", "95 % interval", "wanted", "reached", "who"))
    for target in targets:
        table.add_row(*map(Text, _target(target)))
    return table


def _side(target: Target, side: str) -> str:
    rate = target.details.get(f"{side}_images_per_second")
    return str(target.details[side]) + ("" if rate is None else f" ({rate:,.0f} images/s)")


def _target(target: Target) -> tuple[str, ...]:
    estimate, unit = target.estimate, target.unit
    who = " over ".join(_side(target, side) for side in ("plan", "peer") if side in target.details)
    wanted = f"{target.wanted:g} {unit}"
    if estimate is None:
        return target.title, "nothing to compare", "", wanted, "no", who
    reached = ("yes" if target.is_reached else "no") + ("" if target.is_certain else ", within the noise")
    interval = f"{estimate.low:.2f} to {estimate.high:.2f}"
    return target.title, f"{estimate.value:.2f} {unit}", interval, wanted, reached, who
