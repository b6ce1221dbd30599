"""What it takes to start: imports, opening, the first image, warm-up, memory, and sizes on disk.

Everything that is timed runs in fresh processes, which take turns where they are compared, so that a slow while of the
machine meets all. `child.py` is what such a process does, `fresh.py` starts it and reads its steps.

The part `start` of a document:

    conditions  [text]: under which all of it was measured
    ways        [{name, kind "ganport"|"bare", runs [text], peer}]: what the processes open. `runs` has what runs, once
                where all batch sizes have the same; `peer` names the bare session on the same file, or is empty
    quantities  [{part, system, what, batch, unit "ms"|"bytes"|"x", value, low, high, repetitions, note}]: medians with
                95 % intervals. What is counted and not timed has one repetition and value = low = high. `batch` is null
                but in `warm-up`.
    missing     {what: why}: what could not be measured here

Parts of quantities: `import` (system: a module); `start` (system: a way: its steps, their sum, the first opening on
this machine and how much of it the probe takes, and `... over PEER`, unit x); `warm-up` (`first call` and `later calls`
at each batch size); `memory` (resident and GPU memory after steps, `peak resident`); `bundle` (a kind of file, `all of
it`); `installed` (what a program needs with one backend, or PyTorch; `note` names the packages).
"""

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from ganport_runtime import Bundle, Generator, Plan, PlanError
from ganport_runtime.backends import BACKENDS, load_backend
from ganport_runtime.batches import BUCKETS, TOP
from ganport_runtime.bundle import MANIFEST
from ganport_runtime.machine import installed_version
from ganport_runtime.manifest import CompiledEngine, Entry, Probe
from ganport_runtime.plan import AUTO

from ganport_bench.effort import Effort, OnStep
from ganport_bench.errors import BenchError
from ganport_bench.fresh import ProcessStep, UsedGpuMemory, import_seconds, live, watching_gpus
from ganport_bench.installed import closure, installed_bytes
from ganport_bench.records import CACHE, own_cache, tuned, user_record
from ganport_bench.tables import Table, between, mebibytes, number, reasons
from ganport_bench.timing import Estimate, Seconds, difference, interleave, median, ratio

CONDITIONS = (
    "every repetition is a fresh process",
    "files are in the system's file cache (warm page cache): after a boot everything takes longer",
    "modules have byte code, as after an installation",
    "every call draws its own latents, by ganport or by numpy's generator",
)
CONTRAST = "torch"  # what the runtime does without
PROBES = "probes"  # in ganport's cache folder: which plans have passed
BARE = {  # backends that run a graph in a few lines by hand (tasks of `child.py`), and how that is written
    "onnxruntime": ("bare ONNX Runtime", "no option set"),
    "openvino": ("bare OpenVINO", "float32 asked for, batch size left open"),
}

STEPS = ("interpreter", "import", "engine import", "open", "first image")
MOMENTS = {**{name: name for name in STEPS[1:]}, f"batch {TOP}": "top bucket"}  # at which memory is looked at
TO_FIRST_IMAGE = "start of the process to the first image"
FIRST_OPENING = "open, the first time on this machine"
PROBE = "probe: the first opening over later ones"
RESIDENT, ON_GPU, PEAK = "resident after {}", "GPU memory after {}", "peak resident"

OnMissing = Callable[[str, str], None]  # told what cannot be measured, and why
Part = Literal["import", "start", "warm-up", "memory", "bundle", "installed"]


@dataclass(frozen=True)
class Quantity:
    """A median over repetitions with its 95 % interval."""

    part: Part  # which table it belongs to
    system: str  # who takes or holds it
    what: str  # for people
    unit: Literal["ms", "bytes", "x"]  # of the estimate; `x` is times as much
    estimate: Estimate  # smaller is better
    repetitions: int  # fresh processes; what is counted and not timed has one
    batch: int | None = None  # images a call, where it is about one batch size
    note: str = ""  # what else there is to know, or empty

    @classmethod
    def of_seconds(cls, part: Part, system: str, what: str, seconds: Seconds, **more: Any) -> Self:
        """Milliseconds of what took these seconds, float64 [repetitions]."""
        return cls(part, system, what, "ms", median(seconds).scaled(1e3), len(seconds), **more)

    @classmethod
    def of_bytes(cls, part: Part, system: str, what: str, *sizes: float, **more: Any) -> Self:
        """What was of these sizes, one a repetition."""
        return cls(part, system, what, "bytes", median(np.array(sizes, np.float64)), len(sizes), **more)

    def to_json(self) -> dict[str, Any]:
        """Its part of the document."""
        document = asdict(self)
        estimate: dict[str, float] = document.pop("estimate")
        return document | estimate


@dataclass(frozen=True)
class Way:
    """One way to come from a fresh process to images: what a process opens and runs."""

    name: str  # for people
    kind: Literal["ganport", "bare"]  # `ganport`, or `bare` for a session that is written by hand
    runs: tuple[str, ...]  # what runs the images, in words; several where batch sizes differ
    task: str  # of `child.py`
    words: tuple[str, ...]  # what it is told after batch sizes and calls
    # ganport's cache folder, this way's alone: its tuning record, and the plans that have passed the probe; None
    # where none is used.
    cache: Path | None = None
    peer: str = ""  # the bare way on the same file, or empty

    def live(self, batches: Sequence[int], calls: int, gpus: UsedGpuMemory | None) -> list[ProcessStep]:
        """A process's steps; `calls` at each batch size after its first."""
        environment = {} if self.cache is None else {CACHE: str(self.cache)}
        counts = (",".join(map(str, batches)), str(calls))
        return live(self.task, *counts, *self.words, environment=environment, gpus=gpus)

    def to_json(self) -> dict[str, Any]:
        """Its part of the document."""
        return {"name": self.name, "kind": self.kind, "runs": list(self.runs), "peer": self.peer}


@dataclass(frozen=True)
class Start:
    """Every number, what the processes opened, and what could not be measured with why."""

    quantities: tuple[Quantity, ...]
    ways: tuple[Way, ...]
    missing: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """The part `start` of the document, as the module's docstring has it."""
        return {
            "conditions": list(CONDITIONS),
            "ways": [way.to_json() for way in self.ways],
            "quantities": [quantity.to_json() for quantity in self.quantities],
            "missing": dict(self.missing),
        }


def measure(bundle: Path, effort: Effort, on_step: OnStep) -> Start:
    """Measure all. Raises BundleError: the bundle is missing or damaged; PlanError: nothing here can run it."""
    missing: dict[str, str] = {}
    opened, on_missing = Bundle.open(bundle), missing.__setitem__
    with tempfile.TemporaryDirectory(prefix="ganport-start-") as name:
        on_step("imports in fresh processes")
        imports = tuple(measure_imports(effort.imports, on_missing))
        on_step("ways to open the bundle")
        ways = ways_of(opened, Path(name) / "caches", effort.tuning_seconds, on_missing)
        on_step("from a fresh process to images")
        with watching_gpus() as gpus:
            if isinstance(gpus, str):
                missing["GPU memory"] = gpus
            runs = live_in_turns(ways, effort, None if isinstance(gpus, str) else gpus, on_missing)
        quantities = (*imports, *process_quantities(runs))
    on_step("sizes")
    sizes = (*bundle_quantities(opened), *installed_quantities())
    return Start((*quantities, *sizes), tuple(way for way in ways if way.name in runs), missing)


def imported_modules() -> tuple[str, ...]:
    """numpy, the runtime and the engines of every backend, as far as they are installed; PyTorch for contrast."""
    engines = [package.module for name in BACKENDS for package in load_backend(name).packages]
    modules = dict.fromkeys(("numpy", "ganport_runtime", *engines, CONTRAST))
    return tuple(name for name in modules if find_spec(name))


def measure_imports(rounds: int, on_missing: OnMissing) -> Iterator[Quantity]:
    """What imports take in fresh interpreters, their own start not counted."""
    systems = {}
    for name in imported_modules():
        try:
            import_seconds(name)()
            systems[name] = import_seconds(name)
        except BenchError as error:
            on_missing(f"import {name}", str(error))
    for name, taken in interleave(systems, rounds=rounds).items():
        note = "for contrast: the runtime does without" if name == CONTRAST else ""
        yield Quantity.of_seconds("import", name, f"import {name}", taken, note=note)


def ways_of(bundle: Bundle, folder: Path, tuning_seconds: float, on_missing: OnMissing) -> tuple[Way, ...]:
    """A bundle untuned, by each backend, tuned, and bare sessions on the same files."""
    untuned, plans = _opened(bundle, "ganport", folder / "untuned")
    found = {untuned.runs: (untuned, plans)}
    for backend in BACKENDS:
        for device in load_backend(backend).devices:
            name = f"ganport, {backend}" + ("" if device == "cpu" else f" on {device}")
            try:
                if lack := load_backend(backend).refusal(device):  # shorter than what opening says
                    raise PlanError(lack)
                way, plans = _opened(bundle, name, folder / f"{backend}-{device}", backend=backend, device=device)
                found.setdefault(way.runs, (way, plans))
            except PlanError as error:
                on_missing(name, str(error))
    pairs = [(way, _bare(bundle, plans)) for way, plans in found.values()]
    ours = [replace(way, peer=bare.name if bare else "") for way, bare in pairs]
    bare = {one.name: one for _, one in pairs if one}
    return (*ours, *_tuned(bundle, folder / "tuned", tuning_seconds, on_missing), *bare.values())


def _tuned(bundle: Bundle, cache: Path, seconds: float, on_missing: OnMissing) -> Iterator[Way]:
    name = "ganport, tuned"
    try:
        mine = user_record(bundle)
        with own_cache(cache):
            tuned(bundle, mine, seconds)
        way, plans = _opened(bundle, name, cache)
        untuned = next((plan.note for plan in plans.values() if not plan.tuned), None)
        if untuned is not None:
            raise BenchError(untuned)
        yield way
    except (BenchError, PlanError, OSError) as error:
        on_missing(name, str(error))


def _opened(
    bundle: Bundle, name: str, cache: Path, backend: str = AUTO, device: str = AUTO
) -> tuple[Way, Mapping[int, Plan]]:
    with own_cache(cache), Generator.open(bundle.path, backend=backend, device=device) as generator:
        plans = generator.plans
    runs = tuple(dict.fromkeys(_words(plan) for plan in plans.values()))
    backends = ",".join(dict.fromkeys(plan.backend for plan in plans.values()))
    words = (str(bundle.path), backends, f"backend={backend}", f"device={device}")
    return Way(name, "ganport", runs, "generator", words, cache), plans


def _bare(bundle: Bundle, plans: Mapping[int, Plan]) -> Way | None:
    """A session by hand on the file that an untuned way opens; None where that is no graph."""
    plan = next(iter(plans.values()))  # one for all batch sizes, as nothing was tuned
    if plan.engine is not None or plan.backend not in BARE:
        return None
    name, how = BARE[plan.backend]
    name += "" if plan.device == "cpu" else f" on {plan.device}"
    file = next(one.file for one in bundle.manifest.variants if one.id == plan.variant)
    words = (str(bundle.path / file), str(bundle.manifest.generator.latent.dim), plan.provider)
    runs = (f"{file} by {plan.backend}, {plan.provider}, {how}",)
    return Way(name, "bare", runs, plan.backend, words)


def _words(plan: Plan) -> str:
    options = "".join(f", {key} {value}" for key, value in plan.options.items())
    return f"{plan.engine or plan.variant} by {plan.backend}, {plan.provider}{options}"


class ProcessRuns:
    """A system whose turn is a whole process of a way; it keeps the steps of each, and of first openings."""

    def __init__(self, way: Way, calls: int, gpus: UsedGpuMemory | None) -> None:
        self.way = way
        self._calls, self._gpus = calls, gpus
        self.usual: list[list[ProcessStep]] = []
        self.first: list[list[ProcessStep]] = []

    def run(self) -> float:
        """Open what was opened here before, and draw every batch size; the seconds of all steps."""
        self.usual.append(self.way.live(BUCKETS, self._calls, self._gpus))
        return sum(step.seconds for step in self.usual[-1])

    def run_first(self) -> float:
        """Open it as for the first time here, so that plans must pass the bundle's probe."""
        assert self.way.cache is not None
        shutil.rmtree(self.way.cache / PROBES, ignore_errors=True)
        self.first.append(self.way.live(BUCKETS[:1], 1, self._gpus))
        return sum(step.seconds for step in self.first[-1])

    def steps(self, name: str) -> list[ProcessStep]:
        """One step of every usual process."""
        return [step for steps in self.usual for step in steps if step.name == name]

    def seconds(self, *names: str) -> Seconds:
        """What these steps took together, float64 [processes]."""
        each = [[step.seconds for step in self.steps(name)] for name in names]
        return np.array([sum(steps) for steps in zip(*each, strict=True)], np.float64)


def live_in_turns(
    ways: Sequence[Way], effort: Effort, gpus: UsedGpuMemory | None, on_missing: OnMissing
) -> dict[str, ProcessRuns]:
    """Run every way in turns, by name; one that fails when it is tried is left out, and told of."""
    found: dict[str, ProcessRuns] = {}
    for way in ways:
        runs = ProcessRuns(way, effort.calls, gpus)
        try:
            runs.run()  # for the file cache and byte code alone
        except BenchError as error:
            on_missing(way.name, str(error))
            continue
        runs.usual.clear()
        found[way.name] = runs
    systems = {name: runs.run for name, runs in found.items()}
    systems |= {f"{name}, first": runs.run_first for name, runs in found.items() if runs.way.cache is not None}
    if systems:
        interleave(systems, rounds=effort.lives, warmup=0)
    return found


def process_quantities(found: Mapping[str, ProcessRuns]) -> Iterator[Quantity]:
    """Seconds of every step, warm-up of every bucket and memory, way by way."""
    for name, runs in found.items():
        for step in STEPS:
            yield Quantity.of_seconds("start", name, step, runs.seconds(step))
        yield Quantity.of_seconds("start", name, TO_FIRST_IMAGE, runs.seconds(*STEPS))
        if runs.first:
            opening = np.array([step.seconds for steps in runs.first for step in steps if step.name == "open"])
            longer = difference(opening, runs.seconds("open")).scaled(1e3)
            yield Quantity.of_seconds("start", name, FIRST_OPENING, opening)
            yield Quantity("start", name, PROBE, "ms", longer, len(opening))
        if peer := found.get(runs.way.peer):
            for what, steps in {"open": ("open",), TO_FIRST_IMAGE: STEPS}.items():
                times = ratio(runs.seconds(*steps), peer.seconds(*steps))
                yield Quantity("start", name, f"{what}, over {peer.way.name}", "x", times, len(runs.usual))
        for bucket in BUCKETS:
            later = np.array([step.later for step in runs.steps(f"batch {bucket}")], np.float64)
            yield Quantity.of_seconds("warm-up", name, "first call", runs.seconds(f"batch {bucket}"), batch=bucket)
            yield Quantity.of_seconds("warm-up", name, "later calls", later, batch=bucket)
        yield from _memory(name, runs)


def _memory(name: str, runs: ProcessRuns) -> Iterator[Quantity]:
    """What this system tells of: resident memory, the peak at the end, and memory of GPUs."""
    held = {RESIDENT.format(moment): [one.resident for one in runs.steps(step)] for step, moment in MOMENTS.items()}
    held[PEAK] = [one.peak for one in runs.steps(f"batch {TOP}")]
    held |= {ON_GPU.format(moment): [one.gpu for one in runs.steps(step)] for step, moment in MOMENTS.items()}
    for what, found in held.items():
        if sizes := [size for size in found if size is not None]:
            yield Quantity.of_bytes("memory", name, what, *sizes)


def bundle_quantities(bundle: Bundle) -> Iterator[Quantity]:
    """Bytes of each kind of file, the largest first, then of all together."""
    kinds = {entry.file: _kind(entry) for entry in bundle.files} | {MANIFEST: "manifest"}
    sizes: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for path in (path for path in bundle.path.rglob("*") if path.is_file()):
        other = "pictures for the eye" if path.suffix == ".png" else "other"
        kind = kinds.get(path.relative_to(bundle.path).as_posix(), other)
        sizes[kind] += path.stat().st_size
        counts[kind] += 1
    every = [*sizes.most_common(), ("all of it", sizes.total())]
    counts["all of it"] = counts.total()
    for kind, size in every:
        note = f"{counts[kind]} file{'' if counts[kind] == 1 else 's'}"
        yield Quantity.of_bytes("bundle", "bundle", kind, size, note=note)


def _kind(entry: Entry | Probe) -> str:
    if isinstance(entry, Probe):
        return "probe"
    return "engines" if isinstance(entry, CompiledEngine) else f"{entry.role} graphs, {entry.precision}"


def installed_quantities() -> Iterator[Quantity]:
    """Bytes of what a program that generates needs with each backend that is installed, and PyTorch for contrast."""
    needs: dict[str, tuple[str, ...]] = {}
    for name in BACKENDS:
        present = [package for package in load_backend(name).packages if installed_version(package.name)]
        extras = (f"ganport[{package.extra}]" if package.extra else package.name for package in present)
        needs |= {f"ganport with {name}": ("ganport", *extras)} if present else {}
    needs |= {f"{CONTRAST}, for contrast": (CONTRAST,)} if installed_version(CONTRAST) else {}
    for system, roots in needs.items():
        names = closure(*roots)
        size = sum(map(installed_bytes, names))
        yield Quantity.of_bytes("installed", system, "with all that it requires", size, note=", ".join(names))


SHORT = {
    TO_FIRST_IMAGE: "all of it",
    f"{TO_FIRST_IMAGE}, x bare": "all, x bare",
    FIRST_OPENING: "open, first time here",
    PROBE: "of it the probe",
}
TITLES = {
    "import": "Imports in fresh processes",
    "bundle": "The bundle on disk",
    "installed": "Installed packages on disk",
}
COLUMNS = ("system", "what", "batch", "median", "95 % interval", "of", "note")
INTERVAL = ("", "median", "95 % interval", "of", "note")
UNITS: Mapping[str, tuple[Callable[[float], str], str]] = {
    "ms": (number, " ms"),
    "bytes": (mebibytes, " MiB"),
    "x": (number, "x"),
}


def tables(document: Mapping[str, Any]) -> list[Table]:
    """A table a part, and every figure in one that may be folded."""
    found = document["start"]
    parts: dict[str, list[Mapping[str, Any]]] = {}
    for quantity in found["quantities"]:
        parts.setdefault(quantity["part"], []).append(quantity)
    grids = {"start": _start_grid, "warm-up": _warm_up_grid, "memory": _memory_grid}
    shown = [grids[part](those) if part in grids else _list(part, those) for part, those in parts.items()]
    ways = [(way["name"], "; ".join(way["runs"])) for way in found.get("ways", ())]
    notes = [f"not measured: {line}" for line in reasons(found.get("missing", {}))]
    if found.get("conditions"):
        notes.append(f"{'; '.join(found['conditions'])}.")
    every = [(one["system"], one["what"], str(one.get("batch") or ""), *_figure(one)) for one in found["quantities"]]
    return [
        *shown,
        Table("What the processes opened", ("way", "runs"), ways, "\n".join(notes)),
        Table(f"All {len(every)} figures of starting", COLUMNS, every, is_long=True),
    ]


def _start_grid(quantities: Sequence[Mapping[str, Any]]) -> Table:
    cells: dict[tuple[str, str], str] = {}
    for one in quantities:
        what = f"{one['what'].partition(', over ')[0]}, x bare" if one["unit"] == "x" else one["what"]
        interval = between(one["low"], one["high"]) if one["what"] in ("open", TO_FIRST_IMAGE) else ""
        cells[one["system"], what] = number(one["value"]) + (f" ({interval})" if interval else "")
    bare = [f"{what}, x bare" for what in ("open", TO_FIRST_IMAGE)]
    columns = (*STEPS, TO_FIRST_IMAGE, *bare, FIRST_OPENING, PROBE)
    return _grid("From a fresh process to the first image, milliseconds", columns, cells)


def _warm_up_grid(quantities: Sequence[Mapping[str, Any]]) -> Table:
    found = {(one["system"], str(one.get("batch") or ""), one["what"]): number(one["value"]) for one in quantities}
    cells = {
        (system, batch): f"{first} / {found.get((system, batch, 'later calls'), '')}"
        for (system, batch, what), first in found.items()
        if what == "first call"
    }
    batches = list(dict.fromkeys(batch for _, batch in cells))
    return _grid("First call at each batch size / later calls, milliseconds", batches, cells)


def _memory_grid(quantities: Sequence[Mapping[str, Any]]) -> Table:
    cells = {(one["system"], one["what"]): mebibytes(one["value"]) for one in quantities}
    return _grid("Memory of a process, MiB", list(dict.fromkeys(what for _, what in cells)), cells)


def _grid(title: str, columns: Sequence[str], cells: Mapping[tuple[str, str], str]) -> Table:
    systems = dict.fromkeys(system for system, _ in cells)
    rows = [(system, *(cells.get((system, column), "") for column in columns)) for system in systems]
    return Table(title, ("", *(SHORT.get(column, column) for column in columns)), rows)


def _list(part: str, quantities: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        (one["what"] if part in ("import", "bundle") else f"{one['system']}, {one['what']}", *_figure(one))
        for one in quantities
    ]
    return Table(TITLES.get(part, part), INTERVAL, rows)


def _figure(one: Mapping[str, Any]) -> tuple[str, ...]:
    show, unit = UNITS.get(one["unit"], (number, f" {one['unit']}"))
    interval = "" if one["low"] == one["high"] else f"{show(one['low'])} to {show(one['high'])}"
    return f"{show(one['value'])}{unit}", interval, str(one["repetitions"]), one.get("note", "")
