"""A folder that is written aside and then renamed; it takes the place of an earlier report and of nothing else."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from ganport_train.files import partial, sync_folder

from ganport_bench.errors import BenchError
from ganport_bench.report.page import MARK

__all__ = ["DOCUMENT", "FIGURES", "LOGS", "PAGE", "check_folder", "replaced"]

PAGE, DOCUMENT, FIGURES, LOGS = "index.html", "results.json", "figures", "loadgen"
HEAD_BYTES = 1000  # of the page, within which its mark stands


def check_folder(folder: Path) -> None:
    """Say before any work that a report cannot go to `folder`.

    Raises:
        BenchError: it is a file, holds what is of no report, or cannot be replaced; or nothing here draws figures.
    """
    if find_spec("matplotlib") is None:
        raise BenchError(
            "a report has figures, and matplotlib, which draws them, is missing: pip install 'ganport[bench]'"
        )
    if folder.is_mount():
        raise BenchError(
            f"the report's folder {folder} is a mount point, which cannot be replaced: name a folder in it"
        )
    parent = next(path for path in folder.resolve().parents if path.exists())
    if not os.access(parent, os.W_OK | os.X_OK):
        raise BenchError(f"the report's folder {folder} cannot be made: {parent} is not yours to write; name another")
    wanted = "name a folder, new, empty or of an earlier report"
    if folder.exists() and not folder.is_dir():
        raise BenchError(f"the report's folder {folder} is a file: {wanted}")
    held = {path.name for path in folder.iterdir()} if folder.exists() else set()
    foreign = sorted(held - {PAGE, DOCUMENT, FIGURES, LOGS})
    if foreign:
        raise BenchError(f"the report's folder {folder} holds {foreign[0]}, which is of no report: {wanted}")
    if held - {LOGS} and not _is_report(folder / PAGE):
        raise BenchError(f"the report's folder {folder} is of something else than ganport bench: {wanted}")


def _swap(folder: Path, aside: Path, earlier: Path, *, keeps_logs: bool) -> None:
    """Put what was written aside in its place; where that fails, everything is as it was."""
    steps = [(folder / LOGS, aside / LOGS)] if keeps_logs and (folder / LOGS).exists() else []
    steps += [(folder, earlier)] if folder.exists() else []
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in (*steps, (aside, folder)):
            source.replace(target)
            done.append((source, target))
    except OSError:
        for source, target in reversed(done):
            target.replace(source)
        raise


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
        BenchError: it holds something else.
        OSError: it cannot be written.
    """
    check_folder(folder)
    folder = folder.resolve()
    aside, earlier = partial(folder), folder.with_name(f".{folder.name}.earlier.partial")
    for leftover in (aside, earlier):
        shutil.rmtree(leftover, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        yield aside
        _swap(folder, aside, earlier, keeps_logs=keeps_logs)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    sync_folder(folder.parent)
    shutil.rmtree(earlier, ignore_errors=True)
