"""`python -m ganport_bench.overhead`: every promised figure beside its target; a miss is shown, nothing fails on it."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.table import Table

from ganport_bench.command import Findings, OnStep, run_command
from ganport_bench.machine import Watch
from ganport_bench.overhead import importing
from ganport_bench.overhead.figure import Figure
from ganport_bench.own_cache import own_cache

PROGRAM = "ganport_bench.overhead"
WIDTH = 160  # columns where stderr is no terminal
FORMAT = 1
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


FULL = Effort(imports=13, openings=13, samples_64=100, samples_1=400, blocks=12, images=100_000)
QUICK = Effort(imports=9, openings=9, samples_64=20, samples_1=100, blocks=6, images=10_000)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show a table on stderr and, on request, print the document on stdout."""
    options = _parser().parse_args(arguments)
    return run_command(PROGRAM, partial(_findings, options), width=WIDTH, as_json=options.json)


def _findings(options: argparse.Namespace, folder: Path, on_step: OnStep) -> Findings:
    watch = Watch()  # before, or the load would be the benchmark's own
    with own_cache(folder / "cache"):  # what is measured is a bundle that was not tuned
        figures = measure(options.only, options.bundle, QUICK if options.quick else FULL, folder, on_step)
    facts = watch.finished()
    remarks = ["Quick: few rounds, fewer images."] if options.quick else []
    return Findings([table(figures)], remarks, facts, document(figures, facts, is_quick=options.quick))


def measure(names: Sequence[str], bundle: Path | None, effort: Effort, folder: Path, on_step: OnStep) -> list[Figure]:
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


def _on_bundle(names: Sequence[str], bundle: Path, effort: Effort, on_step: OnStep) -> list[Figure]:
    from ganport_bench.overhead import opening, sampling

    figures = []
    if "open" in names:
        on_step("opening a bundle")
        figures.append(opening.measure(bundle, effort.openings))
    if "sample" in names:
        on_step("sampling")
        figures += sampling.measure(bundle, effort.samples_64, effort.samples_1)
    return figures


def _made(folder: Path, resolution: int, width: int, on_step: OnStep) -> Path:
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {PROGRAM}", description=__doc__)
    parser.add_argument("--bundle", type=Path, help="open and sample this bundle, not one made here")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, metavar="NAME", help=" ".join(NAMES))
    parser.add_argument("--quick", action="store_true", help="few rounds, and 10,000 images instead of 100,000")
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")
    return parser


if __name__ == "__main__":
    sys.exit(main())
