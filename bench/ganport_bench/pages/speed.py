"""The sections on the machine and on speed: what was promised, everyone, who is missing, ceilings, nodes."""

from collections.abc import Iterator, Mapping, Sequence

from ganport_bench.pages.markdown import Document, between, interval, load, quickly, table

__all__ = ["sections"]

GIGA = 1e9


def sections(whole: Document) -> Iterator[tuple[str, str]]:
    """By name, from the document of `ganport bench --json`."""
    yield "machine", _machine(whole)
    if "rows" not in whole:
        return
    yield "targets", _targets(whole)
    yield "speed", _everyone(whole)
    yield "missing", _missing(whole)
    yield "ceilings", _ceilings(whole["ceilings"])
    yield "own code", _own_code(whole["overhead"])
    if "nodes" in whole:
        yield "nodes", _nodes(whole["nodes"])


def _machine(whole: Document) -> str:
    machine = whole["machine"]
    system = machine["system"].partition("-")[0]
    versions = ", ".join(f"{name} {version}" for name, version in machine["packages"].items() if version)
    took = ", ".join(f"{part} {seconds:.0f} s" for part, seconds in whole["took_seconds"].items())
    model = "" if whole["model"]["is_trained"] else "The generator was hardly trained, so that its images are noise. "
    return (
        f"{quickly(whole)}{model}Measured {machine['measured_at'][:10]} on {machine['cpu']}, {machine['cores']} cores, "
        f"{system}, Python {machine['python']}; {versions}. {load(machine)} It took: {took}."
    )


def _targets(whole: Document) -> str:
    return table(("at", "measured", "interval", "wanted"), [_target(target) for target in whole["targets"]])


def _target(target: Document) -> tuple[str, ...]:
    unit = target["unit"] if target["unit"] == "x" else f" {target['unit']}"
    wanted, estimate = f"{target['wanted']:g}{unit}", target["estimate"]
    if estimate is None:
        return target["title"], "nothing to compare **missed**", "", wanted
    missed = "" if target["is_reached"] else " **missed**"
    return target["title"], f"{estimate['value']:.2f}{unit}{missed}", between(estimate, ".2f"), wanted


def _everyone(whole: Document) -> str:
    """A row a system, a column a batch size, the fastest at the largest batch first."""
    batches = sorted({row["batch"] for row in whole["rows"]})
    systems: dict[str, dict[int, Document]] = {}
    for row in whole["rows"]:
        systems.setdefault(row["system"], {})[row["batch"]] = row
    columns = ("system", "kind", "computes in", *(f"batch {batch}" for batch in batches), "PSNR dB", "of its ceiling")
    fastest = sorted(systems.values(), key=lambda rows: -_speed(rows, batches[-1]))
    return table(columns, [_system(rows, batches) for rows in fastest])


def _speed(rows: Mapping[int, Document], batch: int) -> float:
    return float(rows[batch]["images_per_second"]) if batch in rows else 0.0


def _system(rows: Mapping[int, Document], batches: list[int]) -> tuple[str, ...]:
    one = rows[max(rows)]
    cells = (_cell(rows[batch]) if batch in rows else "" for batch in batches)
    psnr, share = one["psnr_db"], one["share_of_ceiling"]
    return (
        one["system"],
        one["kind"],
        ", ".join(dict.fromkeys(row["precision"] for row in rows.values())),
        *cells,
        "" if psnr is None else f"{psnr:.1f}",
        "" if share is None else f"{share:.0%}",
    )


def _cell(row: Document) -> str:
    wrong, wide = "" if row["correct"] else " WRONG", " wide" if row["is_wide"] else ""
    return interval(row, ",.0f", "images_per_second") + wide + wrong


def _missing(whole: Document) -> str:
    """Who did not run, one line a reason; with the batch sizes where it ran at others."""
    batches: dict[tuple[str, str], list[str]] = {}
    for batch, missing in whole["missing"].items():
        for name, reason in missing.items():
            batches.setdefault((reason, name), []).append(batch)
    reasons: dict[str, list[str]] = {}
    for (reason, name), of in batches.items():
        at = "" if len(of) == len(whole["missing"]) else f" (batch {' and '.join(of)})"
        reasons.setdefault(reason, []).append(name + at)
    return "\n".join(f"- {', '.join(names)}: {reason}" for reason, names in reasons.items()) or "Nobody."


def _ceilings(ceilings: Document) -> str:
    """A row a precision: what was measured, and what it means for each batch size."""
    batches = list(next(iter(ceilings["floors"].values()), {}))
    at = (f"images/s at most, batch {batch}" for batch in batches)
    columns = ("precision", "matrix product, Gop/s", *at, "measured by")
    bandwidth = ceilings["bandwidth"]
    memory = f"Memory: {interval(_giga(bandwidth['bytes_per_second']), ',.1f')} GB/s, {bandwidth['how']}."
    rows = [_ceiling(precision, peak, ceilings["floors"][precision]) for precision, peak in ceilings["peaks"].items()]
    return f"{table(columns, rows)}\n\n{memory}"


def _ceiling(precision: str, peak: Document, floors: Document) -> tuple[str, ...]:
    at_most = (f"{floor['images_per_second']:,.0f} ({floor['bound']})" for floor in floors.values())
    return precision, interval(_giga(peak["operations_per_second"]), ",.0f"), *at_most, peak["how"]


def _giga(estimate: Document) -> dict[str, float]:
    return {key: value / GIGA for key, value in estimate.items()}


def _own_code(overhead: Sequence[Document]) -> str:
    rows = [(str(one["batch"]), interval(one["microseconds"], ",.1f")) for one in overhead]
    return table(("batch", "microseconds of a call"), rows)


def _nodes(profiles: Sequence[Document]) -> str:
    columns = ("plan", "batch", "ms in nodes", "products at their floor", "products above it", "nodes without products")
    return table(columns, [_profile(profile) for profile in profiles])


def _profile(profile: Document) -> tuple[str, ...]:
    found = profile["summary"]
    shares = (f"{found[name]:.0%}" for name in ("products_floor", "products_above_floor", "without_products"))
    return profile["plan"], str(profile["batch"]), f"{found['milliseconds']:.2f}", *shares
