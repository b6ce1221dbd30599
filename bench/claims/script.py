"""What every script of this folder does around its measuring: tables, machine facts, errors in one line."""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ganport_bench.effort import OnStep
from ganport_bench.figures import Figure
from ganport_bench.machine import footer
from ganport_bench.tables import Table, to_terminal
from ganport_bench.timing import Estimate
from rich.console import Console

Findings = tuple[Sequence[Table], Sequence[str], dict[str, Any]]  # tables, remarks, the document


def run(program: str, measure: Callable[[Path, OnStep], Findings], *, width: int, as_json: bool) -> int:
    """Measure, show tables on stderr and, on request, print the document on stdout; the exit status.

    `measure` is given an empty folder, which is deleted afterwards, and a function that shows a step. `width` is in
    columns, for a stderr that is no terminal.
    """
    terminal = Console(stderr=True, width=None if sys.stderr.isatty() else width, highlight=False)
    begun = time.perf_counter()
    try:
        with terminal.status("") as status, tempfile.TemporaryDirectory(prefix=f"ganport-{program}-") as folder:
            tables, remarks, document = measure(Path(folder), status.update)
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if not type(error).__module__.startswith("ganport_"):
            raise
        print(f"{program}: {error}", file=sys.stderr)
        return 1
    for table in tables:
        terminal.print(to_terminal(table))
    terminal.print(footer(document["machine"], remarks, time.perf_counter() - begun), markup=False)
    if as_json:
        print(json.dumps(document, indent=2, allow_nan=False))
    return 0


def at_most(name: str, title: str, unit: str, estimate: Estimate | None, wanted: float | None, **more: Any) -> Figure:
    """A figure whose threshold is a ceiling."""
    return Figure(name, title, unit, estimate, wanted, is_floor=False, **more)
