"""Writes the tables and charts of a page of Markdown anew, from the documents of `make bench`.

    python bench/claims/docs_pages.py docs/benchmarks.md --whole whole.json --report report

A page holds a pair of comments for each place: `<!-- bench: PART -->` for all tables of a part, or `<!-- bench: PART,
TITLE -->` for those whose title begins so; and `<!-- /bench -->`. Parts are machine, speed, nodes, start, scenarios and
load (of `ganport bench --json`), servers and overhead (of the scripts beside this one) and charts (of `ganport bench
--report`). What is between the comments is replaced if a document of it is given; all else stays.
"""

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from ganport_bench.document import PARTS, measured_on, opening, remarks, tables_of
from ganport_bench.errors import BenchError
from ganport_bench.machine import footer
from ganport_bench.tables import Table, to_markdown
from ganport_runtime.atomic import write_bytes

SCRIPTS = ("servers", "overhead")
END = "<!-- /bench -->"
BEGIN = re.compile(r"^<!-- bench: (?P<part>[a-z]+)(, (?P<title>.+))? -->$", re.MULTILINE)


def refresh(page: Path, documents: Mapping[str, Path], report: Path | None) -> list[str]:
    """Write a page anew."""
    tables = {part: found for kind, path in documents.items() for part, found in _read(kind, path).items()}
    charts = [] if report is None else sorted(report.rglob("*.png"))
    if report is not None and not charts:
        raise BenchError(f"{report} holds no charts (*.png); name the folder of ganport bench --report")
    folder = page.with_suffix("")
    if charts:
        lines = (f"![{chart.stem.replace('-', ' ')}]({folder.name}/{chart.name})" for chart in charts)
        tables["charts"] = [Table("", note="\n".join(lines))]
    text, places = replace_places(page.read_text("utf-8"), tables)  # first: a broken page keeps its charts
    if charts:
        for chart in charts:
            write_bytes(folder / chart.name, chart.read_bytes())
        for stale in {*folder.glob("*.png")} - {folder / chart.name for chart in charts}:
            stale.unlink()
    write_bytes(page, text.encode())
    return places


def _read(kind: str, path: Path) -> dict[str, Sequence[Table]]:
    try:
        document = json.loads(path.read_text("utf-8"))
        if kind != "whole":
            about = Table("About these figures", note=measured_on(document["machine"]))
            return {kind: [*import_module(kind).tables(document), about]}
        found = {part: tables_of(part, document) for part in PARTS if PARTS[part] in document}
        return {"machine": [_machine(document)], **found}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BenchError(f"{path} is no document of this version, of {kind} ({error}); measure again") from None


def _machine(document: Mapping[str, Any]) -> Table:
    seconds = sum(document["took_seconds"].values())
    lines = [*opening(document).lines, *footer(document["machine"], remarks(document), seconds).splitlines()]
    return Table("", note="\n".join(dict.fromkeys(lines)))


def replace_places(page: str, tables: Mapping[str, Sequence[Table]]) -> tuple[str, list[str]]:
    """The page with new tables, and the places that were replaced, in its order."""
    parts, places, at = [], list[str](), 0
    for found in BEGIN.finditer(page):
        name, begin = found[0], found.end()
        end, following = page.find(END, begin), BEGIN.search(page, begin)
        if end < 0 or (following is not None and following.start() < end):
            raise BenchError(f"the place {name} has no end: write {END} on a line of its own after it")
        if found["part"] in tables:
            parts += [page[at:begin], f"\n\n{_markdown(tables[found['part']], found['title'])}\n\n"]
            places.append(name)
            at = end
    return "".join((*parts, page[at:])), places


def _markdown(tables: Sequence[Table], title: str | None) -> str:
    """The tables whose title begins so, or all that are not long. A single one that is named has no title."""
    if title is None:
        shown = [table for table in tables if not table.is_long]
    else:
        shown = [table for table in tables if table.title.startswith(title)]
    is_single = title is not None and len(shown) == 1
    parts = [f"### {table.title}\n\n{to_markdown(table)}" if table.title and not is_single else to_markdown(table)
             for table in shown]  # fmt: skip
    return "\n\n".join(parts) or "Not measured."


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status is 1 where a file cannot be read or is none of ganport's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path, help="such as docs/benchmarks.md")
    parser.add_argument("--whole", type=Path, help="of ganport bench --json")
    for script in SCRIPTS:
        parser.add_argument(f"--{script}", type=Path, help=f"of bench/claims/{script}.py --json")
    parser.add_argument("--report", type=Path, help="of ganport bench --report: its charts are copied beside the page")
    options = parser.parse_args(arguments)
    given = {kind: path for kind in ("whole", *SCRIPTS) if (path := getattr(options, kind)) is not None}
    try:
        places = refresh(options.page, given, options.report)
    except (BenchError, OSError) as error:
        print(f"docs_pages: {error}", file=sys.stderr)
        return 1
    print(f"{options.page}: {', '.join(places) or 'nothing'}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
