"""A report: a folder with a page that needs nothing else, its charts, and the document that all of it was made of.

index.html      everything, in one file without scripts, for light and dark
figures/        each chart of the page as PNG and as SVG
results.json    the document
loadgen/        LoadGen's own logs, where scenarios were run; they are there before the report is written
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ganport_runtime.atomic import new_folder, remove_leftovers, write_json

from ganport_bench.charts import Picture, draw
from ganport_bench.document import PARTS, Document, machine_tables, opening, tables_of
from ganport_bench.errors import BenchError
from ganport_bench.tables import Table, estimate, number, to_html

PAGE, RESULTS, FIGURES, LOGS = "index.html", "results.json", "figures", "loadgen"
MARK = '<meta name="generator" content="ganport bench">'  # by which a report is recognized
HEAD_BYTES = 1000  # of the page, within which the mark stands
GLANCE = ("The best", "Thresholds")  # titles of speed's tables that stand first


@dataclass(frozen=True)
class Section:
    """A part on the page: its tables, or why it was not measured."""

    key: str
    title: str
    charts: tuple[str, ...] = ()

    def tables(self, document: Document) -> list[Table]:
        """What it shows."""
        if self.key == "machine":
            return list(machine_tables(document))
        if self.key == "glance":
            return [table for table in tables_of("speed", document) if table.title.startswith(GLANCE)]
        if PARTS[self.key] in document:
            return [table for table in tables_of(self.key, document) if not table.title.startswith(GLANCE)]
        why = document.get("skipped", {}).get(self.key, "it was not asked for.")
        return [Table("", note=f"Not measured: {why}")]


SECTIONS = (
    Section("glance", "At a glance"),
    Section("speed", "Speed", ("throughput", "percentiles", "fidelity-against-speed", "share-of-ceiling")),
    Section("nodes", "Nodes", ("time-by-node",)),
    Section("start", "Start", ("start-to-first-image",)),
    Section("scenarios", "Scenarios"),
    Section("load", "Load", ("latency-under-load",)),
    Section("machine", "Machine"),
)


def check_folder(folder: Path) -> None:
    """Say before any work that a report cannot go to `folder`.

    An earlier report that a killed run had moved aside gets its name again.

    Raises BenchError: it is a file, holds what is of no report, or cannot be replaced; or matplotlib is missing;
    OSError: it cannot be read.
    """
    if find_spec("matplotlib") is None:
        raise BenchError("matplotlib, which draws a report's charts, is missing: pip install 'ganport[bench]'")
    _check_place(folder)
    remove_leftovers(folder.resolve())
    wanted = "name a folder, new, empty or of an earlier report"
    if folder.exists() and not folder.is_dir():
        raise BenchError(f"the report's folder {folder} is a file: {wanted}")
    held = {path.name for path in folder.iterdir()} if folder.exists() else set()
    foreign = sorted(held - {PAGE, RESULTS, FIGURES, LOGS})
    if foreign:
        raise BenchError(f"the report's folder {folder} holds {foreign[0]}, which is of no report: {wanted}")
    if held - {LOGS} and not _is_report(folder / PAGE):
        raise BenchError(f"the report's folder {folder} is of something else than ganport bench: {wanted}")


def _check_place(folder: Path) -> None:
    place = folder.resolve()  # what a link points at is what will be renamed
    if place.is_mount():
        raise BenchError(
            f"the report's folder {folder} is a mount point, which cannot be replaced: name a folder in it"
        )
    parent = next(path for path in place.parents if path.exists())
    if not parent.is_dir():
        raise BenchError(f"the report's folder {folder} cannot be made: {parent} is a file; name another")
    for path in (parent, place):
        if path.is_dir() and not os.access(path, os.W_OK | os.X_OK):
            raise BenchError(f"the report's folder {folder} cannot be made: {path} is not yours to write; name another")


def _is_report(page: Path) -> bool:
    if not page.is_file():
        return False
    with page.open("rb") as file:
        return MARK.encode() in file.read(HEAD_BYTES)


def write_report(document: Document, folder: Path) -> Path:
    """Write page, charts and document; they take the place of an earlier report as a whole.

    Raises BenchError: the folder holds something else, or cannot be written; then it is as it was.
    """
    pictures = {picture.name: picture for picture in draw(document)}
    text, logs = page(document, pictures), folder / LOGS
    check_folder(folder)
    try:
        with new_folder(folder.resolve(), overwrite=True) as partial:
            (partial / FIGURES).mkdir()
            for picture in pictures.values():
                (partial / FIGURES / f"{picture.name}.png").write_bytes(picture.png)
                (partial / FIGURES / f"{picture.name}.svg").write_text(picture.svg, "utf-8")
            if logs.exists() and ("scenarios" in document or "scenarios" in document.get("skipped", {})):
                shutil.copytree(logs, partial / LOGS)
            write_json(partial / RESULTS, document)
            (partial / PAGE).write_text(text, "utf-8")
    except OSError as error:
        why = error.strerror or error
        raise BenchError(f"the report {folder} cannot be written ({why}); name another place") from None
    return folder / PAGE


def page(document: Document, pictures: Mapping[str, Picture]) -> str:
    """The whole page, as HTML."""
    from jinja2 import Environment, FileSystemLoader
    from markupsafe import Markup

    environment = Environment(
        autoescape=True, loader=FileSystemLoader(Path(__file__).parent), trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"table": to_html, "picture": lambda picture: Markup(picture.for_page())}
    return environment.get_template("page.html.j2").render(
        title=f"ganport bench: {Path(document['model']['bundle'] or document['model']['run']).name}",
        mark=Markup(MARK),
        opening=opening(document),
        cards=list(_cards(document)),
        sections=[(one, [pictures[name] for name in one.charts if name in pictures], one.tables(document))
                  for one in SECTIONS],
    )  # fmt: skip


def _cards(document: Document) -> Iterator[Mapping[str, Any]]:
    rates = {(row["system"], str(row["batch"])): row["images_per_second"] for row in document.get("rows", ())}
    for batch, best in document.get("summary", {}).items():
        name = best.get("best_plan")
        over = estimate(best.get("best_plan_over_best_peer_fp32"), "x")
        yield {
            "batch": batch,
            "rate": f"{number(rates[name, batch])} images/s" if (name, batch) in rates else "no plan is right",
            "plan": name or "",
            "over": f"{over} the best fp32 peer" if over else "no fp32 peer beside it",
        }
