"""Output of commands: text and progress for people on stderr, one JSON document on stdout where it is asked for."""

import ctypes
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout; people's text goes to stderr.")]

STDOUT, STDERR = 1, 2  # descriptors, which is what libraries in other languages write to
PLAIN_WIDTH = 160  # columns where stderr is no terminal: rich would break lines at 80 there


def console(plain_width: int = PLAIN_WIDTH) -> Console:
    """The console that people read: stderr, so that stdout holds documents alone."""
    return Console(stderr=True, width=None if sys.stderr.isatty() else plain_width, highlight=False)


def say(text: str) -> None:
    """Print text for people on stderr as it is: long lines are not broken, brackets are no markup."""
    console().print(text, markup=False, soft_wrap=True)


def print_json(document: Mapping[str, Any]) -> None:
    """Print the one JSON document of a command on stdout; a NaN or infinity in it is a defect and raises."""
    print(json.dumps(document, indent=2, allow_nan=False))


def table(title: str, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> Table:
    """A plain table; every cell is shown as its `str`."""
    result = Table(title=title, title_justify="left")
    for column in columns:
        result.add_column(column)
    for row in rows:
        result.add_row(*(Text(str(cell)) for cell in row))  # of a plain `str` rich would take "[gpu]" for markup
    return result


def progress(unit: str) -> Progress:
    """A progress bar on stderr that counts in `unit`; tasks may set `note` for figures beside the bar."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn(unit),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
        console=console(),
    )


@contextmanager
def own_stdout() -> Iterator[None]:
    """Send to stderr whatever is written to stdout in the block, by this process or by those that it starts."""
    sys.stdout.flush()
    kept = os.dup(STDOUT)
    os.dup2(STDERR, STDOUT)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        if os.name == "posix":  # C's buffers, while stdout is still stderr: at the end of the process it is too late
            ctypes.CDLL(None).fflush(None)
        os.dup2(kept, STDOUT)
        os.close(kept)
