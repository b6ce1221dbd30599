"""A folder that is written aside and then renamed; it takes the place of an earlier report and of nothing else."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from ganport_runtime.atomic import sync_folder

from ganport_bench.errors import BenchError
from ganport_bench.report.page import MARK

__all__ = ["DOCUMENT", "FIGURES", "LOGS", "PAGE", "check_folder", "replaced"]

PAGE, DOCUMENT, FIGURES, LOGS = "index.html", "results.json", "figures", "loadgen"
HEAD_BYTES = 1000  # of the page, within which its mark stands


def check_folder(folder: Path) -> None:
    """Say before any work that a report cannot go to `folder`.

    An earlier report that a killed run had moved aside gets its name again.

    Raises:
        BenchError: it is a file, holds what is of no report, or cannot be replaced; or nothing here draws figures.
        OSError: it cannot be read.
    """
    if find_spec("matplotlib") is None:
        raise BenchError(
            "a report has figures, and matplotlib, which draws them, is missing: pip install 'ganport[bench]'"
        )
    _check_place(folder)
    _put_back(folder.resolve())
    wanted = "name a folder, new, empty or of an earlier report"
    if folder.exists() and not folder.is_dir():
        raise BenchError(f"the report's folder {folder} is a file: {wanted}")
    held = {path.name for path in folder.iterdir()} if folder.exists() else set()
    foreign = sorted(held - {PAGE, DOCUMENT, FIGURES, LOGS})
    if foreign:
        raise BenchError(f"the report's folder {folder} holds {foreign[0]}, which is of no report: {wanted}")
    if held - {LOGS} and not _is_report(folder / PAGE):
        raise BenchError(f"the report's folder {folder} is of something else than ganport bench: {wanted}")


def _check_place(folder: Path) -> None:
    """Say that a folder cannot be renamed or made where it is to be."""
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


def _earlier(place: Path) -> Path:
    """Where an earlier report lies until the new one has its name."""
    return place.with_name(f".{place.name}.earlier.partial")


def _put_back(place: Path) -> None:
    earlier = _earlier(place)
    if earlier.exists() and not place.exists():
        earlier.replace(place)


def _swap(folder: Path, aside: Path, *, keeps_logs: bool) -> None:
    """Put what was written aside in its place; where that fails, all else is as it was.

    Raises:
        BenchError: the system refused; the text says where the report is.
    """
    earlier = _earlier(folder)
    steps = [(folder / LOGS, aside / LOGS)] if keeps_logs and (folder / LOGS).exists() else []
    steps += [(folder, earlier)] if folder.exists() else []
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in (*steps, (aside, folder)):
            source.replace(target)
            done.append((source, target))
    except BaseException as error:
        stuck = _undo(done)
        if not isinstance(error, OSError):
            raise
        also = "".join(f", and {path} cannot be put back" for path in stuck)
        raise BenchError(
            f"the report's folder {folder} cannot be replaced ({error.strerror or error}): the new one is {aside}{also}"
        ) from None


def _undo(renamed: Sequence[tuple[Path, Path]]) -> list[Path]:
    """Give what was renamed its old names; return what keeps its new one, since the system refused."""
    stuck = []
    for source, target in reversed(renamed):
        try:
            target.replace(source)
        except OSError:
            stuck.append(target)
    return stuck


def _is_report(page: Path) -> bool:
    if not page.is_file():
        return False
    with page.open("rb") as file:
        return MARK.encode() in file.read(HEAD_BYTES)


@contextmanager
def replaced(folder: Path, *, keeps_logs: bool) -> Iterator[Path]:
    """An empty folder beside `folder`, which takes its place once the block has ended well.

    Args:
        folder: new, empty or an earlier report; made with its parents.
        keeps_logs: whether LoadGen's logs, which lie there already, are of this report.

    Raises:
        BenchError: it holds something else, or cannot be replaced; then what was written stays aside.
        OSError: it cannot be written.
    """
    check_folder(folder)
    folder = folder.resolve()
    aside = folder.with_name(f".{folder.name}.partial")
    for leftover in (aside, _earlier(folder)):
        shutil.rmtree(leftover, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        yield aside
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    _swap(folder, aside, keeps_logs=keeps_logs)
    sync_folder(folder.parent)
    shutil.rmtree(_earlier(folder), ignore_errors=True)
