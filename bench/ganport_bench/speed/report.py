"""What people read of everyone's speed: the ceilings, a table a batch size, and the targets, reached or not."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ganport_bench.speed.ceilings import Ceilings
from ganport_bench.speed.document import Results, few_calls, row
from ganport_bench.speed.measured import Comparison, Measured, speedup
from ganport_bench.speed.summary import summarize
from ganport_bench.speed.targets import Target
from ganport_bench.timing import BEYOND, Estimate, latency_of

__all__ = ["tables"]

GIGA = 1e9
FEW = f"~: of fewer calls than a percentile wants, which is {BEYOND} beyond it"


def tables(results: Results) -> list[RenderableType]:
    """Everything, in the order in which it is best read: the targets last, where the eye ends up."""
    parts: list[RenderableType] = [*_ceilings(results.ceilings)]
    for comparison in results.comparisons:
        parts += [_batch(comparison, results), *map(Text, _notes(comparison))]
    about = [_overhead(results), f"Images are compared with {results.standard}."]
    if results.stock_note:
        about.append(f"ONNX Runtime and OpenVINO as peers are {results.stock_note}.")
    return [*parts, *map(Text, (*_missing(results.comparisons), *about, FEW)), _targets(results.targets)]


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column)
    return table


def _ceilings(ceilings: Ceilings) -> Iterator[RenderableType]:
    """A table a device: its peaks, and the least time of each batch size with what bounds it."""
    for device, limits in ceilings.limits.items():
        floors = ceilings.floors[device]
        batches = sorted({batch for of_batch in floors.values() for batch in of_batch})
        title = f"Ceilings ({device}), for {ceilings.demand.multiply_adds / 1e6:.1f} million multiply-adds an image"
        at = (f"images/s, batch {batch}" for batch in batches)
        table = _table(title, ("precision", "Gop/s", "95 % interval", *at, "measured by"))
        for precision, peak in limits.peaks.items():
            cells = (f"{one.images_per_second:,.0f} ({one.bound})" for one in floors[precision].values())
            rate = peak.operations_per_second.scaled(1 / GIGA)
            table.add_row(*map(Text, (precision, f"{rate.value:.0f}", _interval(rate, ".0f"), *cells, peak.how)))
        yield table
        stream = limits.bandwidth.memory.bytes_per_second.scaled(1 / GIGA)
        yield Text(f"memory: {stream.value:.1f} GB/s ({_interval(stream, '.1f')}), {limits.bandwidth.memory.how}")


def _overhead(results: Results) -> str:
    shown = (f"{one.microseconds.value:.0f} us at batch {one.batch}" for one in results.overhead)
    return f"ganport's own code, around an engine that does nothing: {', '.join(shown)}"


def _interval(estimate: Estimate, form: str) -> str:
    return f"{estimate.low:{form}} to {estimate.high:{form}}"


def _fastest_first(comparison: Comparison) -> list[Measured]:
    return sorted(comparison.measured, key=lambda one: -one.images_per_second.value)


def _batch(comparison: Comparison, results: Results) -> Table:
    speed = ("images/s", "95 % interval", "rounds", "p50 ms", "p99 ms", "x best fp32 peer")
    columns = ("system", "precision", *speed, "PSNR dB (worst)", "of ceiling", "setting")
    table = _table(f"Batch {comparison.batch}", columns)
    best = summarize(comparison.measured).best_peer_fp32
    for one in _fastest_first(comparison):
        times = speedup(one, best)
        shown = "" if times is None else f"{times.value:.2f} ({times.low:.2f} to {times.high:.2f})"
        cells = _cells(row(one, results), shown, "~" if few_calls(latency_of(one.calls)) else "")
        table.add_row(*map(Text, cells), style="bold" if one.kind == "plan" else "")
    return table


def _notes(comparison: Comparison) -> Iterator[str]:
    """What a row's own cells do not say; what is the same of all peers is said once, below."""
    for one in _fastest_first(comparison):
        told = "; ".join(text for text in (one.verdict.wrong, one.note) if text)
        if told:
            yield f"  {one.name}: {told}"


def _cells(facts: Mapping[str, Any], times: str, few: str) -> tuple[str, ...]:
    difference, share = facts["difference"], facts["share_of_ceiling"]
    psnr = "" if difference is None else f"{difference['psnr_db_mean']:.1f} ({difference['psnr_db_worst']:.1f})"
    return (
        facts["system"],
        facts["precision"],
        f"{facts['images_per_second']:,.0f}",
        f"{facts['low']:,.0f} to {facts['high']:,.0f}" + (" WIDE" if facts["is_wide"] else ""),
        str(facts["rounds"]),
        f"{facts['latency_ms']['p50']:.2f}",
        f"{few}{facts['latency_ms']['p99']:.2f}",
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
    return target.title, f"{estimate.value:.2f} {unit}", _interval(estimate, ".2f"), wanted, reached, who
