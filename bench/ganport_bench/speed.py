"""ganport's plans beside what people would use instead, each at its best, in turns in one process.

A percentile of latencies wants ten calls beyond it: 20 calls for p50, 100 for p90, 1,000 for p99 and 10,000 for p99.9.
p99.9 is null where there are fewer; of the others a row's note says so.
"""

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from ganport_runtime.tuning.record import TuningRecord

from ganport_bench.baselines import baselines_of
from ganport_bench.ceilings import (
    CPU,
    Ceilings,
    ceilings_of,
    ceilings_tables,
    higher_limits,
    measure_limits,
    share_of_ceiling,
)
from ganport_bench.comparison import Comparison, Measured, ReferenceImages, best_of, compare_at, speedup
from ganport_bench.effort import BATCHES, Effort, OnStep
from ganport_bench.figures import WANTED_DB, Figure, figures_table
from ganport_bench.graph_work import demand_of
from ganport_bench.null_backend import Overhead, measure_overhead
from ganport_bench.peaks import Bandwidth, Peak
from ganport_bench.plans import as_opened, plans_of
from ganport_bench.subject import BenchSubject
from ganport_bench.tables import Table, between, estimate, listed, number, percent, reasons
from ganport_bench.timing import Estimate, latency_of, least_samples

SEED = 2001  # of the latents that everyone is compared and timed on
ALWAYS, WHERE_KNOWN = (50.0, 90.0, 99.0), 99.9  # percentiles of a row

# Thresholds: how many times as fast as the best baseline, and the share of the peak, at the large or the small batch.
LARGE, ONE = 64, 1
OVER_FP32, OVER_ANY, OVER_ANY_ONE, OVER_EXACT = 3.0, 2.0, 2.0, 1.0
SHARE_PERCENT = 60.0


@dataclass(frozen=True)
class Speed:
    """What was found."""

    standard: str  # what images were compared with
    stock_note: str  # what the graph is that ONNX Runtime and OpenVINO run as baselines, where it is no plain export
    ceilings: Ceilings  # of this machine
    comparisons: Sequence[Comparison]  # one a batch size
    overhead: Sequence[Overhead]  # what ganport's own code takes of a call, by batch size

    @property
    def peaks(self) -> Mapping[str, Peak]:
        """The processor's, by precision."""
        return self.ceilings.limits[CPU].peaks

    @property
    def bandwidth(self) -> Bandwidth:
        """Of the computer's memory."""
        return self.ceilings.limits[CPU].bandwidth

    @cached_property
    def targets(self) -> list[Figure]:
        """Every threshold that concerns a batch size which was measured."""
        return thresholds(self.comparisons, self.ceilings)

    def to_json(self) -> dict[str, Any]:
        """Its parts of the document."""
        return {
            "ceilings": self.ceilings.to_json(),
            "rows": [self.row(one) for comparison in self.comparisons for one in comparison.measured],
            "missing": {str(comparison.batch): dict(comparison.missing) for comparison in self.comparisons},
            "summary": {str(comparison.batch): summary(comparison.measured) for comparison in self.comparisons},
            "overhead": [one.to_json() for one in self.overhead],
            "targets": [target.to_json() for target in self.targets],
        }

    def row(self, one: Measured) -> dict[str, Any]:
        """One system at one batch size; times in milliseconds of a call."""
        rate, latency, difference = one.images_per_second, latency_of(one.calls), one.check.difference
        floors = self.ceilings.floors.get(one.device, {})
        share, no_share = share_of_ceiling(floors, one.precision, one.batch, rate.value)
        stock = self.stock_note if one.kind == "peer" else ""
        few = {percent: least_samples(percent) for percent in ALWAYS if percent not in latency.known}
        milliseconds = {f"p{percent:g}": 1e3 * latency.percentiles[percent] for percent in ALWAYS}
        milliseconds_known = {f"p{WHERE_KNOWN:g}": latency.to_json().get(f"p{WHERE_KNOWN:g}")}
        notes = (one.check.wrong, stock, one.note, no_share, _few_calls(few, latency.samples))
        return {
            "system": one.name,
            "kind": one.kind,
            "precision": one.precision,
            "batch": one.batch,
            "images_per_second": rate.value,
            "low": rate.low,
            "high": rate.high,
            "rounds": len(one.taken.seconds),
            "is_wide": one.is_wide,
            "latency_ms": milliseconds | milliseconds_known,
            "samples": latency.samples,
            "transfers": one.transfers,
            "psnr_db": one.check.psnr_db,
            "difference": None if difference is None else asdict(difference),
            "correct": not one.check.wrong,
            "share_of_ceiling": share,
            "settings": dict(one.settings),
            "settings_tried": one.tried,
            "note": "; ".join(note for note in notes if note),
        }


def _few_calls(wanted: Mapping[float, int], samples: int) -> str:
    """Which percentiles are of fewer calls than they want, in words; empty where none is."""
    names, counts = " and ".join(f"p{percent:g}" for percent in wanted), " and ".join(f"{n:,}" for n in wanted.values())
    return f"{names} of {samples:,} calls, where {counts} are wanted" if wanted else ""


def measure(
    subject: BenchSubject, record: TuningRecord, effort: Effort, on_step: OnStep, batches: Sequence[int] = BATCHES
) -> Speed:
    """Measure the machine, then every system, then the machine again, for its limits are the higher of two."""
    source, image = subject.source, subject.opened.manifest.generator.image
    on_step("the images that everyone is compared with")
    reference = ReferenceImages(*source.reference(SEED, max(effort.images, *batches)))
    with _modules_are_no_garbage():
        demand_of(source.stock_export)  # what cannot be counted is found out now, not after everyone was measured
        limits = measure_limits(effort, on_step)
        on_step("ganport's own code around an engine that does nothing")
        overhead = measure_overhead(image.shape, source.latent_dim, batches)
        opened = as_opened(subject.bundle), as_opened(subject.bundle, "fp32")
        systems = (*baselines_of(source), *plans_of(subject.opened, record), *opened)
        comparisons = [compare_at(systems, batch, reference, effort, on_step) for batch in batches]
        limits = higher_limits(limits, measure_limits(effort, on_step))
    ceilings = ceilings_of(source.stock_export, limits, batches)
    return Speed(source.standard, source.stock_note, ceilings, comparisons, overhead)


@contextmanager
def _modules_are_no_garbage() -> Iterator[None]:
    """Leave what was imported until now out of each search for garbage before a round: with PyTorch it takes 0.2 s."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def summary(measured: Sequence[Measured]) -> dict[str, Any]:
    """The best of each kind at one batch size, and the ratios between them with their intervals."""
    best = best_of(measured)
    ratios = {
        "best_plan_over_best_peer_fp32": speedup(best["best_plan"], best["best_peer_fp32"]),
        "best_plan_over_best_peer": speedup(best["best_plan"], best["best_peer"]),
        "best_exact_plan_over_best_peer_fp32": speedup(best["best_exact_plan"], best["best_peer_fp32"]),
    }
    names = {key: None if one is None else one.name for key, one in best.items()}
    return names | {key: None if value is None else asdict(value) for key, value in ratios.items()}


def thresholds(comparisons: Sequence[Comparison], ceilings: Ceilings) -> list[Figure]:
    """What ganport wants of its speed, beside what was measured."""
    found: list[Figure] = []
    at = {comparison.batch: best_of(comparison.measured) for comparison in comparisons}
    if LARGE in at:
        plan, title = at[LARGE]["best_plan"], f"batch {LARGE}, {WANTED_DB:g} dB: over the best"
        of_fp32, of_any = at[LARGE]["best_peer_fp32"], at[LARGE]["best_peer"]
        found.append(_ratio("batch_64_over_fp32_peer", f"{title} fp32 peer", OVER_FP32, plan, of_fp32))
        found.append(_ratio("batch_64_over_any_peer", f"{title} peer of any precision", OVER_ANY, plan, of_any))
    if ONE in at:
        title = f"batch {ONE}, {WANTED_DB:g} dB: over the best peer of any precision"
        found.append(_ratio("batch_1_over_any_peer", title, OVER_ANY_ONE, at[ONE]["best_plan"], at[ONE]["best_peer"]))
    for batch, best in at.items():
        title = f"batch {batch}, exact fp32: over the best fp32 peer"
        found.append(_ratio(f"batch_{batch}_exact", title, OVER_EXACT, best["best_exact_plan"], best["best_peer_fp32"]))
    return [*found, *([_share(at[LARGE]["best_plan"], ceilings)] if LARGE in at else [])]


def _ratio(name: str, title: str, wanted: float, plan: Measured | None, peer: Measured | None) -> Figure:
    return Figure(name, title, "x", speedup(plan, peer), wanted, details={**_side("plan", plan), **_side("peer", peer)})


def _share(plan: Measured | None, ceilings: Ceilings) -> Figure:
    precision = "int8" if plan is None else plan.precision
    peak = None if plan is None else ceilings.peak(plan.device, precision)
    share: Estimate | None = None
    details = _side("plan", plan)
    if plan is not None and peak is not None:
        at_peak = peak.images_per_second(ceilings.demand.multiply_adds)
        share = plan.images_per_second.scaled(100 / at_peak)
        details["images_per_second_at_peak"] = round(at_peak, 1)
    title = f"batch {LARGE}: share of the machine's {precision} matrix-product peak"
    return Figure("batch_64_share_of_peak", title, "%", share, SHARE_PERCENT, details=details)


def _side(side: str, one: Measured | None) -> dict[str, str | float]:
    if one is None:
        return {side: "none"}
    return {side: one.name, f"{side}_images_per_second": round(one.images_per_second.value, 1)}


RATIOS = {
    "best_plan_over_best_peer_fp32": "best plan over best fp32 peer",
    "best_plan_over_best_peer": "best plan over best peer",
    "best_exact_plan_over_best_peer_fp32": "best exact plan over best fp32 peer",
}
NAMES = {
    "best_plan": "best plan",
    "best_exact_plan": "best exact plan",
    "best_peer": "best peer",
    "best_peer_fp32": "best fp32 peer",
}
PERCENTILES = ("p50", "p90", "p99", "p99.9")
COLUMNS = ("system", "computes in", "images/s", "95 % interval", "x best fp32 peer", "PSNR dB (worst)", "of ceiling",
           *(f"{name} ms" for name in PERCENTILES), "rounds", "setting")  # fmt: skip


def tables(document: Mapping[str, Any]) -> list[Table]:
    """A table a batch size, ceilings, overhead, the best, and the thresholds last, where the eye ends up."""
    rows, best = document["rows"], document.get("summary", {})
    batches = list(dict.fromkeys(row["batch"] for row in rows))
    found = [_batch_table(batch, rows, best.get(str(batch), {})) for batch in batches]
    if document.get("ceilings"):
        found += ceilings_tables(document["ceilings"])
    if document.get("overhead"):
        found.append(_overhead_table(document["overhead"]))
    found.append(Table("About these figures", note="\n".join(_about(document, rows))))
    found.append(_best_table(best, rows))
    if document.get("targets"):
        found.append(figures_table("Thresholds", document["targets"]))
    return found


def _batch_table(batch: int, rows: Sequence[Mapping[str, Any]], best: Mapping[str, Any]) -> Table:
    """The fastest first, plans in bold; below it what the cells of a row do not say."""
    those = sorted((row for row in rows if row["batch"] == batch), key=lambda row: -row["images_per_second"])
    base = next((row["images_per_second"] for row in those if row["system"] == best.get("best_peer_fp32")), None)
    plans = [index for index, row in enumerate(those) if row["kind"] == "plan"]
    notes = reasons({row["system"]: row["note"] for row in those if row.get("note")})
    return Table(f"Batch {batch}", COLUMNS, [_cells(row, base) for row in those], "\n".join(notes), plans)


def _cells(row: Mapping[str, Any], base: float | None) -> tuple[str, ...]:
    rate, difference, latency = row["images_per_second"], row.get("difference"), row.get("latency_ms") or {}
    psnr = number(row.get("psnr_db")) + (f" ({number(difference['psnr_db_worst'])})" if difference else "")
    return (
        row["system"],
        row["precision"],
        number(rate),
        between(row["low"], row["high"]) + (" wide" if row.get("is_wide") else ""),
        "" if base is None else number(rate / base),
        psnr if row["correct"] else f"{psnr} WRONG".strip(),
        percent(row.get("share_of_ceiling")),
        *(number(latency.get(name)) for name in PERCENTILES),
        str(row.get("rounds", "")),
        listed(row.get("settings", {})),
    )


def _overhead_table(overhead: Sequence[Mapping[str, Any]]) -> Table:
    cells = [(str(one["batch"]), number((us := one["microseconds"])["value"]), between(us["low"], us["high"]))
             for one in overhead]  # fmt: skip
    title = "ganport's own code, around an engine that does nothing"
    return Table(title, ("batch", "microseconds of a call", "95 % interval"), cells)


def _about(document: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What images are compared with, what of copies is timed, wrong images, and who was not measured."""
    lines = []
    if reference := document.get("model", {}).get("reference"):
        lines.append(f"Images are compared with {reference}.")
    copies = reasons({row["system"]: row["transfers"] for row in rows if row.get("transfers")})
    lines += [f"Transfers of {line}." for line in copies] if len(copies) > 1 else []
    lines += [f"Transfers {line.partition(': ')[2]}." for line in copies] if len(copies) == 1 else []
    wrong = {f"{row['system']} (batch {row['batch']})": "WRONG images" for row in rows if not row["correct"]}
    lines += reasons(wrong)
    missing: dict[tuple[str, str], list[str]] = {}
    for batch, whys in document.get("missing", {}).items():
        for system, why in whys.items():
            missing.setdefault((system, why), []).append(batch)
    everywhere = len(document.get("missing", {}))
    names = {
        system if len(batches) == everywhere else f"{system} (batch {', '.join(batches)})": why
        for (system, why), batches in missing.items()
    }
    return [*lines, *(f"Not measured: {line}" for line in reasons(names))]


def _best_table(best: Mapping[str, Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]) -> Table:
    rates = {(row["system"], str(row["batch"])): row["images_per_second"] for row in rows}

    def named(name: str | None, batch: str) -> str:
        return "none" if name is None else f"{name}: {number(rates.get((name, batch)))} images/s"

    cells = [(title, *(named(one.get(key), batch) for batch, one in best.items())) for key, title in NAMES.items()]
    cells += [
        (title, *(estimate(one.get(key), "x") or "nothing to compare" for one in best.values()))
        for key, title in RATIOS.items()
    ]
    return Table("The best at each batch size", ("", *(f"batch {batch}" for batch in best)), cells)
