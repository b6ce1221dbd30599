"""The page: one HTML file that needs nothing else."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from ganport_bench.report.figures.canvas import themed
from ganport_bench.report.html import Html, joined, paragraph, tag
from ganport_bench.report.rows import Document
from ganport_bench.report.sections import SECTIONS, Section, opening

__all__ = ["MARK", "page"]

MARK = '<meta name="generator" content="ganport bench">'  # by which a report is known as one
HEAD = Html(
    '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    f'{MARK}<link rel="icon" href="data:,">'
)
CAPTIONS = {
    "throughput": "Images a second of everyone. Bold: ganport's plans; hatched: peers; dotted: wrong images.",
    "latency-against-throughput": "Batch sizes of a system are joined. Named: the best of each kind at any.",
    "percentiles": "Milliseconds of a call. A hollow mark is of fewer calls than its percentile wants.",
    "fidelity-against-speed": "Every plan and peer. Named: those that nobody beats in both, by 1 dB or more.",
    "share-of-ceiling": "Images a second over those that this machine's arithmetic and memory would allow.",
    "time-by-node": "The longest nodes of the fastest plans; the strokes are the least that each could take.",
    "start-to-first-image": "Medians of fresh processes; the stroke is the 95 % interval of the whole.",
    "latency-under-load": "Latency counts from when a request was due, so that a slow answer hides nothing.",
}


def page(document: Document, pictures: Mapping[str, str]) -> str:
    """The whole page.

    Args:
        document: of `ganport bench --json`.
        pictures: SVG of every figure, by name.
    """
    title = f"ganport bench: {Path(document['model']['bundle'] or document['model']['run']).name}"
    head = tag("head", HEAD, tag("title", title), tag("style", Html(Path(__file__).with_name("style.css").read_text())))
    links = (tag("a", section.title, href=f"#{section.key}") for section in SECTIONS)
    body = tag(
        "body",
        tag("h1", title),
        *opening(document),
        tag("nav", *links),
        *(_section(section, document, pictures) for section in SECTIONS),
        tag(
            "p", "All figures as files, and ", tag("a", "the document", href="results.json"), " that this was made of."
        ),
    )
    return f'<!doctype html>\n<html lang="en">{head}{body}</html>\n'


def _section(section: Section, document: Document, pictures: Mapping[str, str]) -> Html:
    inside = _content(section, document, pictures) if section.key in document else _absent(section, document)
    return tag("section", tag("h2", section.title), *inside, id=section.key)


def _content(section: Section, document: Document, pictures: Mapping[str, str]) -> Iterator[Html]:
    yield from (_figure(name, pictures[name]) for name in section.figures if name in pictures)
    yield from section.make(document)


def _absent(section: Section, document: Document) -> Iterator[Html]:
    why = document.get("skipped", {}).get(section.part)
    yield paragraph("Not measured: ", "it was not asked for." if why is None else why)


def _figure(name: str, svg: str) -> Html:
    picture = joined((Html(themed(svg, name)),))
    return tag("figure", picture, tag("figcaption", CAPTIONS[name]))
