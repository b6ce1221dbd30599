"""TensorRT engines of a bundle's graphs: what building them takes, and the ways that load them where there is a GPU."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ganport_export import ExportError
from ganport_export.engines import LIBRARIES, load_library
from ganport_runtime import Bundle
from ganport_runtime.backends import load_backend
from ganport_runtime.entries import Engine
from ganport_runtime.fields import Fields

from ganport_bench.errors import BenchError
from ganport_bench.start.fresh import live
from ganport_bench.start.quantity import Quantity
from ganport_bench.start.way import Way
from ganport_bench.start.ways import OnMissing
from ganport_bench.timing import Seconds, interleave

__all__ = ["Built", "build_in_turns", "engine_quantities", "loading_ways"]

FORM = "phase"  # in which engines of every precision are what they are called
NOTE = "parsed, built for every batch size and read back; the library was imported before"


@dataclass(frozen=True)
class Built:
    """An engine.

    Attributes:
        name: its graph and library, for people.
        folder: where its file is, as `child.py` leaves it.
        engine: the manifest's entry of it.
        seconds: what building it took, float64 [rounds].
    """

    name: str
    folder: Path
    engine: Engine
    seconds: Seconds


def build_in_turns(bundle: Bundle, folder: Path, rounds: int, on_missing: OnMissing) -> tuple[Built, ...]:
    """Build an engine of every graph that can be built here, in turns; what cannot be is told of."""
    working: dict[str, _Building] = {}
    for variant, library in _wanted(bundle, on_missing):
        name = f"{variant} by {library}"
        building = _Building((str(bundle.path), variant, library), folder / f"{variant}-{library}")
        try:
            building()
            working[name] = building
        except BenchError as error:
            on_missing(f"engine of {name}", str(error))
    taken = interleave(working, rounds=rounds, warmup=0) if working else {}
    return tuple(Built(name, one.folder, one.engine(), taken[name]) for name, one in working.items())


def engine_quantities(built: Sequence[Built]) -> Iterator[Quantity]:
    """Milliseconds of building each engine, and its bytes."""
    for one in built:
        yield Quantity.of_seconds("engine", one.name, "build", one.seconds, note=NOTE)
        yield Quantity.of_bytes("engine", one.name, "size", (one.folder / "engine").stat().st_size)


def loading_ways(built: Sequence[Built], latent_dim: int, on_missing: OnMissing) -> Iterator[Way]:
    """A way for each engine that this machine can load; of the others it is told why not."""
    backend = load_backend("tensorrt")
    for one in built:
        refusal = backend.refusal("cuda") or backend.entry_refusal(one.engine, "cuda")
        if refusal is None:
            runs = (f"{one.engine.id} by tensorrt, cuda",)
            yield Way(f"engine of {one.name}", "ganport", runs, "load", (str(one.folder), str(latent_dim)))
        else:
            on_missing(f"loading the engine of {one.name}", refusal)


class _Building:
    """A system: a fresh process builds an engine, leaves it in a folder, and tells how long that took."""

    def __init__(self, words: Sequence[str], folder: Path) -> None:
        self.folder = folder
        self._words = words

    def __call__(self) -> float:
        self.folder.mkdir(parents=True, exist_ok=True)
        return live("build", *self._words, str(self.folder))[-1].seconds

    def engine(self) -> Engine:
        """The manifest's entry of what was built."""
        return Engine.read(Fields(json.loads((self.folder / "entry.json").read_text("utf-8"))))


def _wanted(bundle: Bundle, on_missing: OnMissing) -> Iterator[tuple[str, str]]:
    """Every graph that may become an engine, with every library that can build here."""
    variants = [one.id for one in bundle.variants("generator") if one.form == FORM]
    for library in LIBRARIES:
        try:
            load_library(library)
        except ExportError as error:
            on_missing(f"engines by {library}", str(error))
            continue
        if not variants:
            on_missing(f"engines by {library}", f"the bundle has no graph of the form {FORM}; export it with that form")
        yield from ((variant, library) for variant in variants)
