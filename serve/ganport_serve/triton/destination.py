"""Where a repository appears: whole or not at all, and the older one stays until the new one is there."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ganport_serve.triton.errors import RepositoryError

__all__ = ["CONFIG", "check_apart", "check_destination", "writing_folder"]

CONFIG = "config.pbtxt"


def check_destination(out: Path, *, overwrite: bool) -> None:
    """See that a repository may appear at `out` before any work is done for it.

    Raises:
        RepositoryError: something is there, and may not be replaced or is no model repository; or what is above it is
            no folder.
    """
    if not (out.exists() or out.is_symlink()):
        _check_parents(out)
        return
    if not overwrite:
        raise RepositoryError(f"{out} exists; choose another name, or pass --overwrite to replace it")
    if out.is_symlink() or not out.is_dir() or not all(map(_is_ours, out.iterdir())):
        raise RepositoryError(f"{out} is no model repository: it is not overwritten; choose another name")


def check_apart(out: Path, bundle: Path) -> None:
    """See that `out` does not lie in the bundle, of which nothing may be changed.

    Raises:
        RepositoryError: it lies there.
    """
    if bundle.resolve() in out.resolve().parents:
        raise RepositoryError(f"{out} lies in the bundle {bundle}, which is left as it is; choose a place outside it")


def _check_parents(out: Path) -> None:
    """The nearest thing that is there above `out` has to be a folder."""
    there = next(parent for parent in _named(out).parents if parent.exists() or parent.is_symlink())
    if not there.is_dir():
        kind = "a file" if there.is_file() else "no folder"
        raise RepositoryError(f"{out} cannot be written: {there} is {kind}, wanted a folder; choose another place")


def _is_ours(entry: Path) -> bool:
    """Whether an entry of a folder is one that a model repository of ours has: a model, or a file for KServe."""
    if entry.is_dir():
        return (entry / CONFIG).is_file()
    return entry.name.startswith("kserve-") and entry.suffix == ".yaml"


@contextmanager
def writing_folder(out: Path, *, overwrite: bool) -> Iterator[Path]:
    """A hidden folder beside `out` to write into, renamed to `out` as the block ends, deleted where it fails.

    Raises:
        RepositoryError: `out` is taken, a part of its path is no folder, another export is writing it, or the system
            refused.
    """
    out = _named(out)
    check_destination(out, overwrite=overwrite)
    aside = out.with_name(f".{out.name}.partial")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        aside.mkdir()
    except FileExistsError:
        raise RepositoryError(
            f"{aside} is there: another export writes it, or one was killed; in that case remove it"
        ) from None
    except OSError as error:
        raise RepositoryError(f"{out} cannot be written: {error.strerror or error}") from error
    try:
        yield aside
        _put(aside, out, overwrite=overwrite)
    except BaseException as error:
        shutil.rmtree(aside, ignore_errors=True)
        if isinstance(error, OSError):
            raise RepositoryError(f"{out} cannot be written: {error.strerror or error}") from error
        raise


def _named(out: Path) -> Path:
    """The absolute path, with a name of its own; a last part that is a link stays one, so that it is seen."""
    return out.resolve() if out.name in ("", "..") else out.parent.resolve() / out.name


def _put(aside: Path, out: Path, *, overwrite: bool) -> None:
    """Rename `aside` to `out`; a repository that is there is moved aside first, and back where that fails."""
    check_destination(out, overwrite=overwrite)
    if not out.exists():
        aside.rename(out)
        return
    old = out.with_name(f".{out.name}.old")
    if old.exists():
        raise RepositoryError(f"{old} is there, left by an export that was killed; look at it and remove it")
    out.rename(old)
    try:
        aside.rename(out)
    except BaseException:
        old.rename(out)
        raise
    with suppress(OSError):
        shutil.rmtree(old)
