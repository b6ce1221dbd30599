"""What was measured, on which machine, with which versions."""

from collections.abc import Iterator, Mapping
from typing import Any

from ganport_bench.machine import BUSY
from ganport_bench.report.html import Html, paragraph, table, tag
from ganport_bench.report.rows import Document
from ganport_bench.report.text import list_of, number

__all__ = ["machine", "opening"]

GIB = 2**30


def opening(document: Document) -> Iterator[Html]:
    """The lines below the title: what, where, when, and what makes figures doubtful."""
    facts, model = document["machine"], document["model"]
    gpus = "".join(f", {gpu['name']}" for gpu in facts.get("gpus", ()))
    when = f"Measured {str(facts['measured_at']).replace('T', ' ')}. " if facts.get("measured_at") else ""
    yield paragraph(f"{when}{facts['cpu']}, {facts['cores']} cores{gpus}; {facts['system']}.")
    run = f", of the run {model['run']}" if model.get("run") else ""
    yield paragraph(f"{model['bundle']}{run}." + (f" Tuned {model['tuned']}." if model.get("tuned") else ""))
    yield from (paragraph(tag("b", text)) for text in _doubts(document))


def _doubts(document: Document) -> Iterator[str]:
    load = document["machine"].get("load_average_1min")
    if document.get("is_quick"):
        yield "A quick run: few rounds, wide intervals."
    if not document["model"].get("is_trained", True):
        yield "These weights are hardly trained: speeds hold, PSNR figures mean little."
    if load and load > BUSY:
        yield f"The machine was busy before (load {load:.1f}): expect noise."


def machine(document: Document) -> Iterator[Html]:
    """Every fact, the GPUs, the versions, and how long each part took."""
    facts = document["machine"]
    yield table(("machine", ""), list(_facts(facts)))
    for gpu in facts.get("gpus", ()):
        yield table((str(gpu.get("name", "GPU")), ""), list(_facts(gpu)))
    versions = {name: version for name, version in facts.get("packages", {}).items() if version}
    yield table(("package", "version"), list(versions.items()))
    took = {part: f"{number(seconds)} s" for part, seconds in document.get("took_seconds", {}).items()}
    if took:
        yield paragraph(f"It took: {list_of(took)}.")


def _facts(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in facts.items():
        if name not in ("packages", "gpus"):
            yield name.removesuffix("_bytes").replace("_", " "), _shown(name, value)


def _shown(name: str, value: object) -> str:
    if value is None or value in ("", {}):
        return "not told here"
    if isinstance(value, Mapping):
        return list_of({key: _shown(key, one) for key, one in value.items()})
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return f"{number(value / GIB)} GiB" if name.endswith("_bytes") and isinstance(value, int | float) else str(value)
