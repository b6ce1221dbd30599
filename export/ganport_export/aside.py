"""Hidden folders beside a bundle: each is locked by the process that uses it, so that a killed one's are known."""

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ganport_export.errors import Observer

__all__ = ["OLD", "PARTIAL", "hidden_folder", "remove_leftovers"]

PARTIAL, OLD = "partial", "old"  # a bundle being written, and the one that it replaces


@contextlib.contextmanager
def hidden_folder(path: Path, suffix: str) -> Iterator[Path]:
    """A new folder `.NAME.XXXXXXXX.SUFFIX` beside `path`, locked; gone at the end with whatever is in it then.

    The only exception is a bundle moved aside that nothing has replaced: it is kept.
    """
    with contextlib.ExitStack() as stack:
        folder = _make(path, suffix)
        while not stack.enter_context(_locked(folder)):  # another process took it for a leftover before it was locked
            folder = _make(path, suffix)
        try:
            yield folder
        finally:
            if not _keeps_the_only_bundle(folder, path):
                shutil.rmtree(folder, ignore_errors=True)  # a next export removes what this could not


def remove_leftovers(path: Path, observer: Observer) -> None:
    """Delete the hidden folders of exports to `path` that were killed, and say so.

    A bundle that was moved aside is kept while there is none at `path`: it is the only one.
    """
    for suffix in (PARTIAL, OLD):
        for folder in _folders(path, suffix):
            with _locked(folder) as ours:
                if ours and _keeps_the_only_bundle(folder, path):
                    observer(f"{folder} holds the bundle that an export which was killed was to replace")
                elif ours:
                    shutil.rmtree(folder, ignore_errors=True)
                    observer(f"removed {folder}, left by an export that was killed")


def _keeps_the_only_bundle(folder: Path, path: Path) -> bool:
    return folder.suffix == f".{OLD}" and (folder / path.name).exists() and not path.exists()


def _make(path: Path, suffix: str) -> Path:
    return Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=f".{suffix}", dir=path.parent))


def _folders(path: Path, suffix: str) -> list[Path]:
    name = re.compile(re.escape(f".{path.name}.") + r"[a-z0-9_]{8}" + re.escape(f".{suffix}"))  # as mkdtemp makes them
    found = (folder for folder in path.parent.iterdir() if name.fullmatch(folder.name))
    return sorted(folder for folder in found if folder.is_dir() and not folder.is_symlink())


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Whether this process now holds the folder; the system drops a lock when its process ends, however it does."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:  # gone already, or another user's
        yield False
        return
    try:
        yield _lock(descriptor) and folder.exists()
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
