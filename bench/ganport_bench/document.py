"""The JSON document of `ganport bench`, and everything that people read of it.

Format 2. Parts that were not asked for or could not run are absent; the latter are in `skipped`:

    format, is_quick
    effort      {tuning_seconds, rounds, turn_seconds, seconds_a_batch_size}: how long speed was measured
    machine     facts before and after: `machine.Watch`
    model       {run, bundle, bundle_digest, is_trained, reference (what images are compared with), tuned}
    ceilings, rows, missing, summary, targets, overhead     what `speed` found
    nodes       where the time of the fastest plans goes
    start, scenarios, load      what the part of that name found
    skipped     {part: why}
    took_seconds    {part: how long it took}
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

from ganport_bench.effort import Effort
from ganport_bench.machine import busy
from ganport_bench.tables import Table, listed, number

Document = Mapping[str, Any]

FORMAT = 2
PARTS = {"speed": "rows", "nodes": "nodes", "start": "start", "scenarios": "scenarios", "load": "load"}
"""By name, in the order in which they run: the key that a document has if the part was measured."""


def compose(
    *,
    machine: Mapping[str, Any],
    model: Mapping[str, Any],
    effort: Effort,
    found: Mapping[str, Any],
    skipped: Mapping[str, str],
    took_seconds: Mapping[str, float],
) -> dict[str, Any]:
    """The document; `found` is what the parts measured, by name."""
    speed = found["speed"].to_json() if "speed" in found else {}
    return {
        "format": FORMAT,
        "is_quick": effort.is_quick,
        "effort": {
            "tuning_seconds": effort.tuning_seconds,
            "rounds": effort.rounds,
            "turn_seconds": effort.turn_seconds,
            "seconds_a_batch_size": effort.batch_seconds,
        },
        "machine": dict(machine),
        "model": dict(model),
        **speed,
        **{part: found[part].to_json() for part in PARTS if part in found and part != "speed"},
        "skipped": dict(skipped),
        "took_seconds": {name: round(seconds, 1) for name, seconds in took_seconds.items()},
    }


def tables_of(part: str, document: Document) -> Sequence[Table]:
    """The tables of one part; none where it was not measured."""
    if PARTS[part] not in document:
        return []
    tables: Sequence[Table] = import_module(f"ganport_bench.{part}").tables(document)
    return tables


def all_tables(document: Document) -> Iterator[Table]:
    """Part by part; speed comes last, where the eye ends up."""
    for part in ("nodes", "start", "scenarios", "load", "speed"):
        yield from tables_of(part, document)


def remarks(document: Document) -> list[str]:
    """What a reader must know beside the tables, a line each."""
    skipped = [f"skipped: {part}: {why}" for part, why in document["skipped"].items()]
    took = ", ".join(f"{part} {seconds:.0f} s" for part, seconds in document["took_seconds"].items())
    return [*skipped, *doubts(document), f"It took: {took}"]


def doubts(document: Document) -> list[str]:
    """What makes the figures doubtful, other than a busy machine."""
    lines = []
    if document.get("is_quick"):
        lines.append("Quick: few rounds, wide intervals.")
    if not document["model"].get("is_trained", True):
        lines.append("These weights are hardly trained: speeds hold, PSNR figures mean little.")
    return lines


def measured_on(machine: Mapping[str, Any]) -> str:
    """When and on what, in a line."""
    gpus = "".join(f", {gpu['name']}" for gpu in machine.get("gpus", ()))
    when = f"Measured {str(machine['measured_at']).replace('T', ' ')}. " if machine.get("measured_at") else ""
    return f"{when}{machine['cpu']}, {machine['cores']} cores{gpus}; {machine['system']}."


def opening(document: Document) -> Table:
    """What was measured, where, when, and what makes the figures doubtful."""
    machine, model = document["machine"], document["model"]
    run = f", of the run {model['run']}" if model.get("run") else ""
    bundle = f"{model['bundle']}{run}." + (f" Tuned {model['tuned']}." if model.get("tuned") else "")
    return Table("", note="\n".join([measured_on(machine), bundle, *doubts(document), *busy(machine)]))


def machine_tables(document: Document) -> Iterator[Table]:
    """Every fact, the GPUs, the versions, and how long each part took."""
    facts = document["machine"]
    yield Table("", ("machine", ""), list(_facts(facts)))
    for gpu in facts.get("gpus", ()):
        yield Table("", (str(gpu.get("name", "GPU")), ""), list(_facts(gpu)))
    versions = [(name, version) for name, version in facts.get("packages", {}).items() if version]
    took = {part: f"{number(seconds)} s" for part, seconds in document.get("took_seconds", {}).items()}
    yield Table("", ("package", "version"), versions, f"It took: {listed(took)}." if took else "")


def _facts(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in facts.items():
        if name not in ("packages", "gpus"):
            yield name.removesuffix("_bytes").replace("_", " "), _fact(name, value)


def _fact(name: str, value: object) -> str:
    if value is None or value in ("", {}):
        return "not told here"
    if isinstance(value, Mapping):
        return listed({key: _fact(key, one) for key, one in value.items()})
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return f"{number(value / 2**30)} GiB" if name.endswith("_bytes") and isinstance(value, int | float) else str(value)
