"""Writes the report of a document: everything in it comes from the document alone, so that a saved one will do."""

from pathlib import Path

from ganport_runtime.atomic import write_bytes, write_json

from ganport_bench.errors import BenchError
from ganport_bench.report.figures import draw
from ganport_bench.report.folder import DOCUMENT, FIGURES, PAGE, replaced
from ganport_bench.report.page import page
from ganport_bench.report.rows import Document

__all__ = ["write_report"]


def write_report(document: Document, folder: Path) -> Path:
    """Write page, figures and document; they take the place of an earlier report as a whole.

    Args:
        document: of `ganport bench --json`; parts that are absent are named on the page with the reason.
        folder: new, empty or of an earlier report.

    Returns:
        The page.

    Raises:
        BenchError: the folder holds something else, or cannot be written.
    """
    pictures = list(draw(document))
    text = page(document, {picture.name: picture.svg for picture in pictures})
    keeps_logs = "scenarios" in document or "scenarios" in document.get("skipped", {})
    try:
        with replaced(folder, keeps_logs=keeps_logs) as aside:
            (aside / FIGURES).mkdir()
            for picture in pictures:
                write_bytes(aside / FIGURES / f"{picture.name}.png", picture.png)
                write_bytes(aside / FIGURES / f"{picture.name}.svg", picture.svg.encode())
            write_json(aside / DOCUMENT, document)
            write_bytes(aside / PAGE, text.encode())
    except OSError as error:
        raise BenchError(
            f"the report {folder} cannot be written ({error.strerror or error}); name another place"
        ) from None
    return folder / PAGE
