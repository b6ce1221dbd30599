"""Copies a report's figures into the folder beside a page, and shows them there."""

from pathlib import Path

from ganport_train.files import write_bytes

from ganport_bench.errors import BenchError

__all__ = ["copy_figures", "section"]

ENDING = ".png"


def copy_figures(report: Path, page: Path) -> list[Path]:
    """Copy every figure of a report to `PAGE-WITHOUT-ENDING/`; those of an earlier one that are no more are deleted.

    Raises:
        BenchError: the report has none.
    """
    found = sorted(report.rglob(f"*{ENDING}"))
    if not found:
        raise BenchError(f"{report} holds no figures (*{ENDING}); name the folder of ganport bench --report")
    folder = page.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    for figure in found:
        write_bytes(folder / figure.name, figure.read_bytes())
    for stale in set(folder.glob(f"*{ENDING}")) - {folder / figure.name for figure in found}:
        stale.unlink()
    return [folder / figure.name for figure in found]


def section(figures: list[Path], page: Path) -> str:
    """Every figure, one below the other, its name in words."""
    shown = (figure.relative_to(page.parent).as_posix() for figure in figures)
    return "\n\n".join(f"![{Path(path).stem.replace('-', ' ').replace('_', ' ')}]({path})" for path in shown)
