"""What people read: one table a part, and a line for what could not be measured."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from ganport_runtime.buckets import BUCKETS
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ganport_bench.start.findings import FIRST_OPENING, MOMENTS, ON_GPU, PEAK, PROBE, RESIDENT, STEPS, TO_FIRST_IMAGE
from ganport_bench.start.installed_size import REQUIRED
from ganport_bench.start.measure import CONDITIONS, Start
from ganport_bench.start.quantity import Part, Quantity

__all__ = ["tables"]

MIB = 2**20
INTERVAL = "95 % interval"
SHORT = {
    TO_FIRST_IMAGE: "all of it",
    f"{TO_FIRST_IMAGE}, x bare": "all, x bare",
    FIRST_OPENING: "open, first time here",
    PROBE: "of it the probe",
}


def tables(start: Start) -> list[RenderableType]:
    """Everything, in the order in which it is best read."""
    parts: dict[Part, list[Quantity]] = {}
    for quantity in start.quantities:
        parts.setdefault(quantity.part, []).append(quantity)
    found = [show(parts[part]) for part, show in _TABLES.items() if part in parts]
    runs = [Text(f"  {way.name}: {'; '.join(way.runs)}") for way in start.ways]
    return [*found, *runs, *map(Text, _missing(start.missing)), Text("; ".join(CONDITIONS) + ".")]


def _missing(missing: Mapping[str, str]) -> Iterator[str]:
    """One line a reason."""
    names: dict[str, list[str]] = {}
    for name, reason in missing.items():
        names.setdefault(reason, []).append(name)
    for reason, those in names.items():
        yield f"not measured: {', '.join(those)}: {reason}"


def _imports(quantities: Sequence[Quantity]) -> Table:
    table = _table("Imports in fresh processes", ("", "ms", INTERVAL, "processes", ""))
    for one in quantities:
        table.add_row(*map(Text, (one.what, _number(one), _interval(one), str(one.repetitions), one.note)))
    return table


def _start(quantities: Sequence[Quantity]) -> Table:
    cells: dict[tuple[str, str], str] = {}
    for one in quantities:
        what = f"{one.what.partition(', over ')[0]}, x bare" if one.unit == "x" else one.what
        interval = f" ({_interval(one)})" if one.what in ("open", TO_FIRST_IMAGE) else ""
        cells[one.system, what] = _number(one) + interval
    beside = [f"{what}, x bare" for what in ("open", TO_FIRST_IMAGE)]
    columns = (*STEPS, TO_FIRST_IMAGE, *beside, FIRST_OPENING, PROBE)
    return _grid("From a fresh process to the first image, milliseconds", columns, cells)


def _warm_up(quantities: Sequence[Quantity]) -> Table:
    found = {(one.system, one.batch, one.what): _number(one) for one in quantities}
    cells = {
        (system, str(batch)): f"{number} / {found[system, batch, 'later calls']}"
        for (system, batch, what), number in found.items()
        if what == "first call"
    }
    return _grid("First call at each batch size / later calls, milliseconds", list(map(str, BUCKETS)), cells)


def _memory(quantities: Sequence[Quantity]) -> Table:
    cells = {(one.system, one.what): _number(one) for one in quantities}
    columns = [*(RESIDENT.format(moment) for moment in MOMENTS.values()), PEAK]
    on_gpu = [ON_GPU.format(moment) for moment in MOMENTS.values()]
    shown = [column for column in (*columns, *on_gpu) if any(what == column for _, what in cells)]
    return _grid("Memory of a process, MiB", shown, cells)


def _engines(quantities: Sequence[Quantity]) -> Table:
    """A row an engine."""
    sizes = {one.system: _number(one) for one in quantities if one.unit == "bytes"}
    table = _table("Engines, built in fresh processes", ("", "ms", INTERVAL, "processes", "MiB", ""))
    for one in quantities:
        if one.unit == "ms":
            cells = (one.system, _number(one), _interval(one), str(one.repetitions), sizes[one.system], one.note)
            table.add_row(*map(Text, cells))
    return table


def _bundle(quantities: Sequence[Quantity]) -> Table:
    table = _table("The bundle on disk", ("", "MiB", ""))
    for one in quantities:
        table.add_row(*map(Text, (one.what, _number(one), one.note)))
    return table


def _installed(quantities: Sequence[Quantity]) -> Table:
    """What programs need; the document has every package by itself too."""
    table = _table("Installed packages on disk", ("", "MiB", "packages"))
    for one in quantities:
        if one.what == REQUIRED:
            table.add_row(*map(Text, (one.system, _number(one), one.note)))
    return table


def _grid(title: str, columns: Sequence[str], cells: Mapping[tuple[str, str], str]) -> Table:
    """A row a system."""
    table = _table(title, ("", *(SHORT.get(column, column) for column in columns)))
    for system in dict.fromkeys(system for system, _ in cells):
        table.add_row(*map(Text, (system, *(cells.get((system, column), "") for column in columns))))
    return table


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column)
    return table


def _number(quantity: Quantity) -> str:
    return _shown(quantity, quantity.estimate.value)


def _interval(quantity: Quantity) -> str:
    low, high = quantity.estimate.low, quantity.estimate.high
    return f"{_shown(quantity, low)} to {_shown(quantity, high)}" if low < high else ""


def _shown(quantity: Quantity, value: float) -> str:
    if quantity.unit == "bytes":
        return f"{value / MIB:,.1f}" if value >= MIB / 10 else f"{value / MIB:.3f}"
    return f"{value:,.2f}" if quantity.unit == "x" or abs(value) < 10 else f"{value:,.1f}"


_TABLES: Mapping[Part, Callable[[Sequence[Quantity]], Table]] = {
    "import": _imports,
    "start": _start,
    "warm-up": _warm_up,
    "memory": _memory,
    "engine": _engines,
    "bundle": _bundle,
    "installed": _installed,
}
