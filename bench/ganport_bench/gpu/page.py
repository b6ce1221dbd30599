"""The measured sections of docs/gpu-results.md: machine, tests and every system's speed, of one run of `make gpu`."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from ganport_bench.errors import BenchError
from ganport_bench.gpu.failure import GpuError
from ganport_bench.gpu.outcome import Outcome
from ganport_bench.pages.markdown import quickly, table
from ganport_bench.pages.sections import replace_sections

__all__ = ["SECTIONS", "check_places", "fill"]

Document = Mapping[str, Any]
SECTIONS = ("gpu machine", "gpu speed", "gpu missing")
COLUMNS = (
    "system",
    "computes in",
    "images/s",
    "95 % interval",
    "p50 ms",
    "transfers",
    "PSNR dB",
    "right",
    "settings",
)
IDLE = "idle"  # NVML's reason of a GPU that has nothing to do: nothing held it back


def check_places(page: str) -> None:
    """See that a page has a place for every section, before a GPU is busy for it.

    Raises:
        GpuError: it has not.
    """
    _filled(page, dict.fromkeys(SECTIONS, ""))


def fill(page: str, document: Document, tests: Outcome, steps: int | None) -> str:
    """The page with its sections written anew; all else of it stays.

    Args:
        page: as it was.
        document: of `ganport bench --json`.
        tests: what came of the tests.
        steps: for which the generator was trained, or None where that is not known.

    Raises:
        GpuError: the page lacks a place for a section.
    """
    texts = (_machine(document, tests, steps), _speed(document), _missing(document))
    return _filled(page, {name: "\n".join(lines) for name, lines in zip(SECTIONS, texts, strict=True)})


def _filled(page: str, texts: Mapping[str, str]) -> str:
    try:
        text, names = replace_sections(page, texts)
    except BenchError as error:
        raise GpuError(f"docs/gpu-results.md: {error}") from error
    missing = [name for name in texts if name not in names]
    if missing:
        raise GpuError(f"docs/gpu-results.md has no line <!-- bench: {missing[0]} -->; a line <!-- /bench --> ends it")
    return text


def _machine(document: Document, tests: Outcome, steps: int | None) -> Iterator[str]:
    machine = document["machine"]
    yield f"{quickly(document)}Measured {machine['measured_at'][:10]} by `make gpu`."
    yield ""
    for gpu in machine["gpus"]:
        yield f"- GPU: {_gpu(gpu)}"
    if machine["gpu_note"]:
        yield f"- GPU: {machine['gpu_note']}"
    yield f"- CPU: {machine['cpu']}, {machine['cores']} cores; {machine['system']}, Python {machine['python']}"
    yield f"- {', '.join(f'{name} {version}' for name, version in machine['packages'].items() if version)}"
    yield f"- Measured: {_model(document['model'], steps)}"
    yield f"- Tests marked `gpu`: {tests}"


def _model(model: Document, steps: int | None) -> str:
    """How long it was trained, as a number: whether that was enough, the limit of `is_trained` does not tell."""
    length = "unknown length" if steps is None else f"{steps:,} steps"
    return f"a run of {length}{'' if model['is_trained'] else ', hardly trained: its images are noise'}"


def _gpu(gpu: Document) -> str:
    """One GPU in a line: what it is, and what it was held back by."""
    limit, state = gpu.get("power_limit_watts"), gpu.get("after") or {}
    words = [gpu["name"], f"{gpu['memory_bytes'] / 2**30:.0f} GiB" if gpu["memory_bytes"] else ""]
    words += [f"compute capability {gpu['compute_capability']}", f"driver {gpu['driver']}"]
    words.append(f"power limit {limit:g} W" if limit else "")
    held = {reason: seconds for reason, seconds in (gpu.get("throttled_seconds") or {}).items() if seconds}
    words += [f"during the run held back for {seconds:g} s by {_words(reason)}" for reason, seconds in held.items()]
    return ", ".join(word for word in (*words, *(_after(gpu, state) if state else ())) if word)


def _after(gpu: Document, state: Document) -> Iterator[str]:
    """What was read once everything had ended: of the measurement itself it tells little."""
    reasons = state["throttle_reasons"] or []
    clock, most = state["clock_mhz"]["sm"], gpu["max_clock_mhz"]["sm"]
    if clock and most:
        yield f"after the run {'idle ' if IDLE in reasons else ''}at {clock} of {most} MHz"
    holding = [reason for reason in reasons if reason != IDLE]
    if holding:
        yield f"after the run held back by {' and '.join(holding)}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _speed(document: Document) -> Iterator[str]:
    rows = sorted(document.get("rows", ()), key=lambda row: (row["batch"], -row["images_per_second"]))
    if not rows:
        yield "No speed was measured."
    yield from _transfers(rows)
    for batch, group in groupby(rows, key=lambda row: row["batch"]):
        yield from ("", f"### Batch {batch}", "", table(COLUMNS, map(_cells, group)))


def _transfers(rows: Sequence[Document]) -> Iterator[str]:
    """What the column's words mean."""
    for words in dict.fromkeys(row["transfers"] for row in rows):
        yield f"- transfers {words}"


def _cells(row: Document) -> Sequence[str]:
    psnr = row["psnr_db"]
    name = f"**{row['system']}**" if row["kind"] == "plan" else row["system"]
    return (
        name,
        row["precision"],
        f"{row['images_per_second']:,.0f}",
        f"{row['low']:,.0f} to {row['high']:,.0f}" + (", wide" if row.get("is_wide") else ""),
        f"{row['latency_ms']['p50']:.2f}",
        row["transfers"].partition(":")[0],
        "" if psnr is None else f"{psnr:.1f}",
        "yes" if row["correct"] else f"no: {row['note']}",
        ", ".join(f"{key} {value}" for key, value in row["settings"].items()),
    )


def _missing(document: Document) -> Iterator[str]:
    """Who did not run, each reason once, and the parts of the benchmark that did not."""
    reasons: dict[str, dict[str, None]] = {}
    for missing in document.get("missing", {}).values():
        for system, why in missing.items():
            reasons.setdefault(why, {})[system] = None
    lines = [f"- {'; '.join(systems)}: {why}" for why, systems in reasons.items()]
    lines += [f"- part {part}: {why}" for part, why in document.get("skipped", {}).items()]
    yield from lines or ["Everything ran."]
