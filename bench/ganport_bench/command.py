"""What every `python -m ganport_bench.PART` does around its measuring: tables, facts, errors in one line."""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType

from ganport_bench.effort import OnStep
from ganport_bench.machine import footer

__all__ = ["Findings", "OnStep", "run_command"]


@dataclass(frozen=True)
class Findings:
    """What was measured.

    Attributes:
        tables: for people.
        remarks: what is to be known beside them, a line each.
        machine: its facts, as `machine.facts` has them.
        document: all of it for programs.
    """

    tables: Sequence[RenderableType]
    remarks: Sequence[str]
    machine: Mapping[str, Any]
    document: Mapping[str, Any]


def run_command(program: str, measure: Callable[[Path, OnStep], Findings], *, width: int, as_json: bool) -> int:
    """Measure, show tables on stderr and, on request, print the document on stdout.

    Args:
        program: the module's name, with which a line about an error begins.
        measure: called with an empty folder that is removed afterwards, and with what shows a step's few words.
        width: columns where stderr is no terminal.
        as_json: whether to print the document.

    Returns:
        The exit status: 0, 1 after an error of ganport's, 130 after an interrupt.
    """
    terminal = Console(stderr=True, width=None if sys.stderr.isatty() else width, highlight=False)
    begun, prefix = time.perf_counter(), f"ganport-{program.rpartition('.')[2]}-"
    try:
        with terminal.status("") as status, tempfile.TemporaryDirectory(prefix=prefix) as folder:
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
        terminal.print(table)
    terminal.print(footer(found.machine, found.remarks, time.perf_counter() - begun), markup=False)
    if as_json:
        print(json.dumps(found.document, indent=2, allow_nan=False))
    return 0
