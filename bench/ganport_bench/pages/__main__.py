"""`python -m ganport_bench.pages PAGE`: its tables and figures anew, from documents and a report."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from ganport_runtime.atomic import write_bytes

from ganport_bench.errors import BenchError
from ganport_bench.pages import figures, overhead, parts, serving, speed
from ganport_bench.pages.markdown import Document
from ganport_bench.pages.sections import replace_sections

PROGRAM = "ganport_bench.pages"

Sections = Callable[[Document], Iterator[tuple[str, str]]]
SECTIONS: Mapping[str, Sequence[Sections]] = {
    "whole": (speed.sections, parts.sections),
    "serving": (serving.sections,),
    "overhead": (overhead.sections,),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page anew; the exit status is 1 where a file cannot be read or is none of ganport's."""
    options = _parser().parse_args(arguments)
    try:
        names = refresh(
            options.page, {kind: getattr(options, kind) for kind in SECTIONS if getattr(options, kind)}, options.report
        )
    except (BenchError, OSError) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 1
    print(f"{options.page}: {', '.join(names) or 'nothing'}", file=sys.stderr)
    return 0


def refresh(page: Path, documents: Mapping[str, Path], report: Path | None) -> list[str]:
    """Write a page anew.

    Args:
        page: Markdown with places for tables.
        documents: files, by the keys of `SECTIONS`.
        report: the folder whose figures are copied beside the page, or None.

    Returns:
        The names of the places that were written.

    Raises:
        BenchError: a document is none, a report has no figures, or a place has no end.
        OSError: a file cannot be read or written.
    """
    before = page.read_text("utf-8")
    texts = {name: text for kind, path in documents.items() for name, text in _texts(kind, path)}
    drawn = [] if report is None else figures.figures_of(report)
    if drawn:
        texts["figures"] = figures.section(drawn, page)
    text, names = replace_sections(before, texts)  # before anything is copied: a broken page keeps its figures
    if drawn:
        figures.copy_figures(drawn, page)
    write_bytes(page, text.encode())
    return names


def _texts(kind: str, path: Path) -> Iterator[tuple[str, str]]:
    try:
        document = json.loads(path.read_text("utf-8"))
        for sections in SECTIONS[kind]:
            yield from sections(document)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BenchError(f"{path} is no {kind} document of this version ({error}); measure again") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {PROGRAM}", description=__doc__)
    parser.add_argument("page", type=Path, help="Markdown with places for tables, such as docs/benchmarks.md")
    parser.add_argument("--whole", type=Path, help="of ganport bench --json")
    parser.add_argument("--serving", type=Path, help="of python -m ganport_bench.serving --json")
    parser.add_argument("--overhead", type=Path, help="of python -m ganport_bench.overhead --json")
    parser.add_argument("--report", type=Path, help="of ganport bench --report: its figures are copied beside the page")
    return parser


if __name__ == "__main__":
    sys.exit(main())
