"""The page docs/gpu-results.md: machine, tests and every system's speed, from what one run of `make gpu` left."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from ganport_bench.gpu.outcome import Outcome

__all__ = ["page"]

Document = Mapping[str, Any]
COLUMNS = ("system", "computes in", "images/s", "95 % interval", "p50 ms", "PSNR dB", "right", "settings")


def page(document: Document, tests: Outcome) -> str:
    """The page's text.

    Args:
        document: of `ganport bench --json`.
        tests: what came of the tests.
    """
    return "\n".join([*_head(document, tests), *_speed(document), *_missing(document)]) + "\n"


def _head(document: Document, tests: Outcome) -> Iterator[str]:
    machine, model = document["machine"], document["model"]
    yield "# On a GPU"
    yield ""
    yield f"Written by `make gpu` on {machine['measured_at'][:10]}; do not edit it, run the command again."
    yield ""
    for gpu in machine["gpus"]:
        yield f"- GPU: {_gpu(gpu)}"
    if machine["gpu_note"]:
        yield f"- GPU: {machine['gpu_note']}"
    yield f"- CPU: {machine['cpu']}, {machine['cores']} cores; {machine['system']}, Python {machine['python']}"
    yield f"- {', '.join(f'{name} {version}' for name, version in machine['packages'].items() if version)}"
    yield f"- Measured: {model['run'] or model['bundle']}, {'trained' if model['is_trained'] else 'hardly trained'}"
    yield f"- Tests marked `gpu`: {tests}"
    yield ""


def _gpu(gpu: Document) -> str:
    """One GPU in a line: what it is, and what it was held back by."""
    limit, state = gpu.get("power_limit_watts"), gpu.get("after") or {}
    words = [gpu["name"], f"{gpu['memory_bytes'] / 2**30:.0f} GiB" if gpu["memory_bytes"] else ""]
    words += [f"compute capability {gpu['compute_capability']}", f"driver {gpu['driver']}"]
    words.append(f"power limit {limit:g} W" if limit else "")
    if state:
        clock, most = state["clock_mhz"]["sm"], gpu["max_clock_mhz"]["sm"]
        words.append(f"afterwards at {clock} of {most} MHz" if clock and most else "")
        words.append(f"held back now by {' and '.join(state['throttle_reasons'])}" if state["throttle_reasons"] else "")
    held = {reason: seconds for reason, seconds in (gpu.get("throttled_seconds") or {}).items() if seconds}
    words += [f"held back for {seconds:g} s by {reason.replace('_', ' ')}" for reason, seconds in held.items()]
    return ", ".join(word for word in words if word)


def _speed(document: Document) -> Iterator[str]:
    rows = sorted(document.get("rows", ()), key=lambda row: (row["batch"], -row["images_per_second"]))
    for batch, group in groupby(rows, key=lambda row: row["batch"]):
        yield f"## Batch {batch}"
        yield ""
        yield from _table(COLUMNS, map(_cells, group))
        yield ""


def _cells(row: Document) -> Sequence[str]:
    psnr = row["psnr_db"]
    name = f"**{row['system']}**" if row["kind"] == "plan" else row["system"]
    return (
        name,
        row["precision"],
        f"{row['images_per_second']:,.0f}",
        f"{row['low']:,.0f} to {row['high']:,.0f}" + (", wide" if row.get("is_wide") else ""),
        f"{row['latency_ms']['p50']:.2f}",
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
    if lines:
        yield from ("## What did not run", "", *lines)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for cells in (columns, ["---"] * len(columns), *rows):
        yield f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
