"""A report's figures: copied into the folder beside a page, and shown there."""

from collections.abc import Sequence
from pathlib import Path

from ganport_runtime.atomic import write_bytes

from ganport_bench.errors import BenchError

__all__ = ["copy_figures", "figures_of", "section"]

ENDING = ".png"


def figures_of(report: Path) -> list[Path]:
    """Every figure of a report, by name.

    Raises:
        BenchError: the report has none.
    """
    found = sorted(report.rglob(f"*{ENDING}"))
    if not found:
        raise BenchError(f"{report} holds no figures (*{ENDING}); name the folder of ganport bench --report")
    return found


def copy_figures(figures: Sequence[Path], page: Path) -> None:
    """Copy them to `PAGE-WITHOUT-ENDING/`; those of an earlier report that are no more are deleted."""
    folder = page.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    for figure in figures:
        write_bytes(folder / figure.name, figure.read_bytes())
    for stale in set(folder.glob(f"*{ENDING}")) - {folder / figure.name for figure in figures}:
        stale.unlink()


def section(figures: Sequence[Path], page: Path) -> str:
    """Every figure as it lies beside the page, one below the other, its name in words."""
    folder = page.with_suffix("").name
    return "\n\n".join(
        f"![{figure.stem.replace('-', ' ').replace('_', ' ')}]({folder}/{figure.name})" for figure in figures
    )
