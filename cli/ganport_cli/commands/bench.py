"""`ganport bench`: what one wants to know before choosing, measured on this machine; and two such runs compared."""

import math
import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ganport_cli.terminal import Json, console, own_stdout, print_json, say

if TYPE_CHECKING:
    from ganport_bench.compare import Regression
    from ganport_bench.load import LoadFindings
    from ganport_bench.run import BenchOptions
    from ganport_bench.tables import Table

WIDTH = 200  # columns where stderr is no terminal

Target = Annotated[Path, typer.Argument(metavar="TARGET", help="A bundle, or a training run's directory.")]
BundleOption = Annotated[
    Path | None, typer.Option(metavar="B", help="What was exported from the run; not given: it is exported now.")
]
Report = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Write a page, figures, the document and LoadGen's logs there.")
]
Csv = Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write the load part as perf_analyzer does.")]
Batches = Annotated[str, typer.Option(help="Images a call, separated by commas.")]
Parts = Annotated[
    str | None, typer.Option(help="Of speed, nodes, start, scenarios, load; not given: all that can run here.")
]
Seconds = Annotated[
    float | None,
    typer.Option(
        min=20,
        help="About how long; not given: 720, or 300 with --quick. Below 500 everything is quick, and some parts take "
        "their minutes whatever is given: --parts leaves them out.",
    ),
]
Quick = Annotated[bool, typer.Option("--quick", help="Few rounds: a first look.")]
Old = Annotated[Path, typer.Argument(metavar="OLD.json", help="The document that the others are compared with.")]
New = Annotated[list[Path], typer.Argument(metavar="NEW.json", help="Later documents of the same machine.")]
Server = Annotated[
    str, typer.Argument(metavar="URL|BUNDLE", help="http://HOST:PORT of a server, or a bundle, which is served for it.")
]
Model = Annotated[str, typer.Option(help="Of the server, asked for.")]
Bound = Annotated[
    float | None,
    typer.Option(
        metavar="MS",
        help="Within which an answer is in time; not given: ten times the median of a lone client. Servers that are "
        "compared want the same.",
    ),
]


def bench(
    target: Target,
    bundle: BundleOption = None,
    report: Report = None,
    csv: Csv = None,
    batches: Batches = "1,8,64",
    parts: Parts = None,
    seconds: Seconds = None,
    quick: Quick = False,
    json: Json = False,
) -> None:
    """Measure a bundle or a run on this machine, beside what people would use instead.

    Parts: the speed of every plan and peer in turns, with this machine's ceilings; the nodes that take the fastest
    plans' time; what starting takes; the scenarios of MLCommons LoadGen; a server under load. Peers that need PyTorch
    want the run directory.

    Example: ganport bench runs/emoji --bundle emoji.ganport --report report
    """
    with own_stdout(), tempfile.TemporaryDirectory(prefix="ganport-bench-") as folder:
        options = _options(target, bundle, report, batches, parts, seconds, quick=quick)
        if csv is not None:
            _check_csv(csv, report, options)
        if report is not None:
            from ganport_bench.page import check_folder

            check_folder(report)
        from ganport_bench.run import run

        begun = time.monotonic()
        with console(WIDTH).status("") as status:
            done = run(options, Path(folder), status.update)
    took, document = time.monotonic() - begun, done.document
    with _kept(document, json=json):
        from ganport_bench.document import all_tables, remarks
        from ganport_bench.machine import footer

        _print(all_tables(document), footer(document["machine"], remarks(document), took))
        if report is not None:
            from ganport_bench.page import write_report

            say(f"Wrote {write_report(document, report)}")
        if csv is not None and "load" in done.found:
            _write_csv(done.found["load"], csv)
    _check_found(options, document["skipped"], csv)


def compare(old: Old, new: New, json: Json = False) -> None:
    """Tell real changes between runs from noise; exits 1 where one is a regression beyond its interval.

    Example: ganport bench compare old.json new.json
    """
    from ganport_bench.compare import compare_documents, read_document
    from ganport_bench.errors import BenchError

    before = read_document(old)
    regressions = {path: compare_documents(before, read_document(path)) for path in new}
    for path, found in regressions.items():
        console(WIDTH).print(f"{old} -> {path}", markup=False)
        _print([found.table()])
    if json:
        print_json({"old": str(old), "new": {str(path): found.to_json() for path, found in regressions.items()}})
    worse = [f"{path} is worse than {old}: {_worst(found)}" for path, found in regressions.items() if _worst(found)]
    if worse:
        raise BenchError("; ".join(worse))


def load(
    server: Server,
    model: Model = "generator",
    bound_ms: Bound = None,
    csv: Csv = None,
    quick: Quick = False,
    json: Json = False,
) -> None:
    """Load any server of the Open Inference Protocol, or ganport's around a bundle, up to its knee and a little beyond.

    Example: ganport bench load http://127.0.0.1:8000 --csv load.csv
    """
    if csv is not None:
        _check_file(csv)
    if bound_ms is not None and not (math.isfinite(bound_ms) and bound_ms > 0):
        raise typer.BadParameter(f"--bound-ms is {bound_ms}, wanted a finite number above 0")
    with own_stdout():
        from ganport_bench import load as part
        from ganport_bench.document import FORMAT
        from ganport_bench.effort import FULL, QUICK
        from ganport_bench.machine import Watch, footer

        watch, begun = Watch(), time.monotonic()
        target, bound = part.target_of(server, model=model), None if bound_ms is None else bound_ms / 1e3
        with console(WIDTH).status("") as status:
            found = part.measure(target, QUICK if quick else FULL, status.update, bound_seconds=bound)
        document: dict[str, Any] = {"format": FORMAT, "machine": watch.finished(), "load": found.to_json()}
        took = time.monotonic() - begun
    with _kept(document, json=json):
        _print(part.tables(document), footer(document["machine"], [], took))
        if csv is not None:
            _write_csv(found, csv)


def _worst(found: "Regression") -> str:
    worse = [change for change in found.changes if change.verdict == "worse"]
    if not worse:
        return ""
    first, more = worse[0], f", and {len(worse) - 1} more" if len(worse) > 1 else ""
    why = first.why or f"{first.ratio:.2f} times what it was"
    return f"{first.what}: {why}{more}"


def _options(
    target: Path, bundle: Path | None, report: Path | None, batches: str, parts: str | None, seconds: float | None, *,
    quick: bool,
) -> "BenchOptions":  # fmt: skip
    if seconds is not None and not math.isfinite(seconds):
        raise typer.BadParameter(f"--seconds is {seconds}, wanted a finite number")
    from ganport_bench.effort import effort_of
    from ganport_bench.errors import BenchError
    from ganport_bench.run import BenchOptions
    from ganport_runtime.machine import cache_folder

    try:
        sizes = tuple(int(word) for word in batches.split(","))
    except ValueError:
        raise typer.BadParameter(f"--batches {batches!r}, wanted numbers such as 1,8,64") from None
    try:
        return BenchOptions(
            target,
            effort_of(seconds, is_quick=quick, batches=len(sizes)),
            logs=(cache_folder() if report is None else report) / "loadgen",
            bundle=bundle,
            parts=None if parts is None else tuple(word.strip() for word in parts.split(",")),
            batches=sizes,
        )
    except BenchError as error:
        raise typer.BadParameter(f"--{error}") from None


def _check_file(csv: Path) -> None:
    if csv.exists() and not csv.is_file():  # a device would be replaced too
        raise typer.BadParameter(f"--csv {csv} is {'a folder' if csv.is_dir() else 'no file'}; name a file")
    above = next(path for path in csv.absolute().parents if path.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise typer.BadParameter(f"--csv {csv}: {above} is no folder, or not yours to write; name another place")


def _check_csv(csv: Path, report: Path | None, options: "BenchOptions") -> None:
    _check_file(csv)
    if options.parts is not None and "load" not in options.parts:
        raise typer.BadParameter("--csv is of the part load, which is not among --parts")
    if "load" in (lacks := options.lacking()):
        raise typer.BadParameter(f"--csv is of the part load: {lacks['load']}")
    if report is not None and csv.resolve().is_relative_to(report.resolve()):
        raise typer.BadParameter(f"--csv {csv} is in the report's folder, which is replaced as a whole; name another")


def _check_found(options: "BenchOptions", skipped: Mapping[str, str], csv: Path | None) -> None:
    """What was asked for by name and is not there is a failure, once all else is written."""
    from ganport_bench.errors import BenchError

    lacks = [f"{part}: {skipped[part]}" for part in options.parts or () if part in skipped]
    if not lacks and csv is not None and "load" in skipped:
        lacks = [f"no CSV: load: {skipped['load']}"]
    if lacks:
        raise BenchError("; ".join(lacks))


def _print(tables: "Iterable[Table]", last: str = "") -> None:
    from ganport_bench.tables import to_terminal

    for table in tables:
        if not table.is_long:
            console(WIDTH).print(to_terminal(table))
    if last:
        console(WIDTH).print(last, markup=False)


def _write_csv(found: "LoadFindings", path: Path) -> None:
    from ganport_bench.load import write_csv

    say(f"Wrote {', '.join(map(str, write_csv(found, path)))}")


@contextmanager
def _kept(document: dict[str, Any], *, json: bool) -> Iterator[None]:
    """Print the document, then run the block that shows and writes it; if that fails, keep it and say where it is."""
    from ganport_bench.errors import BenchError

    try:
        if json:  # first: whatever happens to the files, this is not lost
            print_json(document)
        with own_stdout():
            yield
    except BaseException as error:
        where = _keep(document, is_printed=json)
        if isinstance(error, BenchError | OSError):
            raise BenchError(f"{error}; {where}") from error
        say(where)
        raise


def _keep(document: dict[str, Any], *, is_printed: bool) -> str:
    from ganport_runtime.atomic import write_bytes
    from ganport_runtime.machine import cache_folder

    text = dumps(document, indent=2, default=str)  # it may be the document that is at fault
    try:
        kept = cache_folder() / "bench.json"
        write_bytes(kept, text.encode())
    except OSError:
        if not is_printed:
            print(text)
        return "what was measured is on stdout"
    return f"what was measured is kept in {kept}"
