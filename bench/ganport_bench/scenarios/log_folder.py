"""Where the logs of a scenario appear: whole or not at all, and the older ones stay until the new ones are there."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ganport_bench.errors import BenchError

__all__ = ["log_folder"]


@contextmanager
def log_folder(place: Path) -> Iterator[Path]:
    """A hidden folder beside `place` to write into, which takes its place as the block ends; removed where it fails.

    Raises:
        BenchError: the system refused, or something that is no folder is there.
    """
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        raise BenchError(f"{place} is no folder, and logs are to be kept there; choose another place for them")
    with _refusals(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    try:
        new = aside / "new"
        new.mkdir()
        yield new
        with _refusals(place):
            _put(new, place, aside / "old")
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _put(new: Path, place: Path, old: Path) -> None:
    """Rename `new` to `place`; what is there is moved to `old` first, and back where that fails."""
    if not place.exists():
        new.rename(place)
        return
    place.rename(old)
    try:
        new.rename(place)
    except BaseException:
        old.rename(place)
        raise


@contextmanager
def _refusals(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BenchError(f"logs cannot be kept in {place}: {error.strerror or error}") from error
