"""`python -m ganport_bench.overhead`: every promised figure beside its target; a miss is shown, nothing fails on it."""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ganport_bench.overhead import importing, machine
from ganport_bench.overhead.figure import Figure

FORMAT = 1
BUSY = 0.7  # load average of one minute before the first measurement
NAMES = ("import", "open", "sample", "train", "memory")


@dataclass(frozen=True)
class Effort:
    """How often each thing is measured."""

    imports: int
    openings: int
    samples_64: int
    samples_1: int
    blocks: int
    images: int


FULL = Effort(imports=25, openings=25, samples_64=100, samples_1=400, blocks=24, images=100_000)
QUICK = Effort(imports=9, openings=9, samples_64=20, samples_1=100, blocks=6, images=10_000)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show a table on stderr and, on request, print the document on stdout."""
    options = _parser().parse_args(arguments)
    terminal = Console(stderr=True, width=None if sys.stderr.isatty() else 160, highlight=False)
    facts = machine.facts()  # before, or the load would be the benchmark's own
    begun = time.perf_counter()
    try:
        with terminal.status("") as status, _folder() as folder:
            figures = measure(options.only, options.bundle, QUICK if options.quick else FULL, folder, status.update)
    except KeyboardInterrupt:
        print("ganport_bench.overhead: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if not type(error).__module__.startswith("ganport_"):
            raise
        print(f"ganport_bench.overhead: {error}", file=sys.stderr)
        return 1
    terminal.print(table(figures))
    terminal.print(_footer(facts, time.perf_counter() - begun, is_quick=options.quick), markup=False)
    if options.json:
        print(json.dumps(document(figures, facts, is_quick=options.quick), indent=2, allow_nan=False))
    return 0


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder for files, with a cache of its own in it: what is measured is a bundle that was not tuned."""
    kept = os.environ.get("GANPORT_CACHE")
    with tempfile.TemporaryDirectory(prefix="ganport-overhead-") as folder:
        os.environ["GANPORT_CACHE"] = str(Path(folder, "cache"))
        try:
            yield Path(folder)
        finally:
            del os.environ["GANPORT_CACHE"]
            if kept is not None:
                os.environ["GANPORT_CACHE"] = kept


def measure(
    names: Sequence[str], bundle: Path | None, effort: Effort, folder: Path, on_step: Callable[[str], None]
) -> list[Figure]:
    """The figures of `names`, each of `NAMES`, in that order; files go to `folder`.

    Args:
        names: What to measure.
        bundle: What is opened and sampled; None: one made here, 64x64 of width 64.
        effort: How often.
        folder: Empty; to be removed by the caller.
        on_step: Called with a few words before each step.
    """
    figures: list[Figure] = []
    if "import" in names:
        on_step("import")
        figures.append(importing.measure(effort.imports))
    if "open" in names or "sample" in names:
        chosen = bundle or _made(folder, 64, 64, on_step)
        figures += _on_bundle(names, chosen, effort, on_step)
    if "train" in names:
        from ganport_bench.overhead import training

        on_step("training beside a bare loop")
        figures.append(training.measure(folder, effort.blocks))
    if "memory" in names:
        from ganport_bench.overhead import memory

        small = _made(folder, 16, 4, on_step)
        on_step(f"memory of {effort.images:,} images")
        figures.append(memory.measure(small, folder, effort.images))
    return figures


def _on_bundle(names: Sequence[str], bundle: Path, effort: Effort, on_step: Callable[[str], None]) -> list[Figure]:
    from ganport_bench.overhead import opening, sampling

    figures = []
    if "open" in names:
        on_step("opening a bundle")
        figures.append(opening.measure(bundle, effort.openings))
    if "sample" in names:
        on_step("sampling")
        figures += sampling.measure(bundle, effort.samples_64, effort.samples_1)
    return figures


def _made(folder: Path, resolution: int, width: int, on_step: Callable[[str], None]) -> Path:
    from ganport_bench.overhead.model import make_bundle

    on_step(f"a bundle to measure: {resolution}x{resolution}, width {width}")
    return make_bundle(folder, resolution=resolution, width=width)


def document(figures: Sequence[Figure], facts: dict[str, Any], *, is_quick: bool) -> dict[str, Any]:
    """The document of `--json`."""
    return {
        "format": FORMAT,
        "is_quick": is_quick,
        "machine": facts,
        "figures": [figure.to_json() for figure in figures],
    }


def table(figures: Sequence[Figure]) -> Table:
    """One row a figure: the median, its 95 % interval, the target, whether it is reached."""
    result = Table(title="What ganport costs over the bare tools", title_justify="left")
    for column in ("what", "median", "95 % interval", "target", "reached", "details"):
        result.add_column(column)
    for figure in figures:
        result.add_row(*_row(figure))
    return result


def _row(figure: Figure) -> list[str]:
    estimate, unit = figure.estimate, figure.unit
    interval = f"{estimate.low:.2f} to {estimate.high:.2f}" if estimate.low < estimate.high else ""
    reached = ("yes" if figure.is_reached else "no") + ("" if figure.is_certain else ", within the noise")
    details = ", ".join(f"{name} {value}" for name, value in figure.details.items())
    note = f"; {figure.note}" if figure.note else ""
    return [
        figure.title,
        f"{estimate.value:.2f} {unit}",
        interval,
        f"{figure.target:g} {unit}",
        reached,
        details + note,
    ]


def _footer(facts: dict[str, Any], seconds: float, *, is_quick: bool) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in facts["packages"].items() if version)
    quick = "quick: few rounds, fewer images; " if is_quick else ""
    load = facts["load_average_1min"]
    busy = f"the machine was busy before (load {load:.1f}), so expect noise; " if load and load > BUSY else ""
    where = f"{facts['cpu']}, {facts['cores']} cores, Python {facts['python']}, {packages}"
    return f"{quick}{busy}{where}; took {seconds:.0f} s"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ganport_bench.overhead", description=__doc__)
    parser.add_argument("--bundle", type=Path, help="open and sample this bundle, not one made here")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, metavar="NAME", help=" ".join(NAMES))
    parser.add_argument("--quick", action="store_true", help="few rounds, and 10,000 images instead of 100,000")
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")
    return parser


if __name__ == "__main__":
    sys.exit(main())
