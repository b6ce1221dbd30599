"""What every script of this folder does around its measuring: tables, machine facts, errors in one line."""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganport_bench.effort import OnStep
from ganport_bench.figures import Figure
from ganport_bench.machine import footer
from ganport_bench.tables import Table, to_terminal
from rich.console import Console


@dataclass(frozen=True)
class Findings:
    """What was measured."""

    tables: Sequence[Table]
    remarks: Sequence[str]
    document: Mapping[str, Any]


def run(program: str, measure: Callable[[Path, OnStep], Findings], *, width: int, as_json: bool) -> int:
    """Measure, show tables on stderr and, on request, print the document on stdout."""
    terminal = Console(stderr=True, width=None if sys.stderr.isatty() else width, highlight=False)
    begun = time.perf_counter()
    try:
        with terminal.status("") as status, tempfile.TemporaryDirectory(prefix=f"ganport-{program}-") as folder:
            found = measure(Path(folder), status.update)
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if not type(error).__module__.startswith("ganport_"):
            raise
        print(f"{program}: {error}", file=sys.stderr)
        return 1
    for table in found.tables:
        terminal.print(to_terminal(table))
    lines = footer(found.document["machine"], found.remarks, time.perf_counter() - begun)
    terminal.print(lines, markup=False)
    if as_json:
        print(json.dumps(found.document, indent=2, allow_nan=False))
    return 0


def with_old_keys(figures: Sequence[Figure]) -> Iterator[dict[str, Any]]:
    """Figures as documents have them, with the keys of older documents too."""
    for figure in figures:
        one = figure.to_json()
        estimate = one["estimate"] or {"value": None, "low": None, "high": None}
        yield {
            **one,
            "target": one["wanted"],
            "measured": estimate["value"],
            "low": estimate["low"],
            "high": estimate["high"],
            "reached": one["is_reached"],
            "certain": one["is_certain"],
        }
