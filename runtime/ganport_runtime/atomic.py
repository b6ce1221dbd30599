"""Files and folders that appear whole or not at all: written beside their place, synced, then renamed.

What is being written is hidden (`.NAME.XXXXXXXX.partial`) and locked by the process that writes it, so that the next
write of the same name can delete what a killed process left, and nothing else.
"""

import contextlib
import errno
import json
import os
import re
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

if sys.platform != "win32":
    import fcntl

PARTIAL, OLD = "partial", "old"  # what is being written, and the folder that it replaces


def write_bytes(path: Path, data: bytes) -> None:
    """Replace `path` by `data`, on disk when this returns; after an OSError `path` is as it was."""
    with replacing_file(path) as partial:
        partial.write_bytes(data)


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Replace `path` by a JSON document; NaN and infinities raise `ValueError`."""
    write_bytes(path, (json.dumps(document, indent=2, allow_nan=False) + "\n").encode())


@contextlib.contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """A hidden file beside `path` to write to, renamed to `path` as the block ends, deleted where it fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path)
    partial = _hidden_name(path, PARTIAL)
    descriptor = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        _lock(descriptor)
        yield partial
        _sync(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
        os.close(descriptor)
    sync_folder(path.parent)


@contextlib.contextmanager
def new_folder(path: Path, *, overwrite: bool = False, say: Callable[[str], None] | None = None) -> Iterator[Path]:
    """A hidden folder beside `path` to write into, renamed to `path` as the block ends, deleted where it fails.

    Without `overwrite` an existing `path` is a FileExistsError. With it that folder is moved aside, back where the
    rename fails, and deleted at the end. `say` is told which leftovers of killed processes were deleted or put back.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path, say)
    with _hidden_folder(path, PARTIAL) as partial:
        yield partial
        if not path.exists() and not path.is_symlink():
            partial.rename(path)
        elif not overwrite:
            raise FileExistsError(f"{path} exists")
        else:
            with _hidden_folder(path, OLD) as old:
                path.rename(old / path.name)
                try:
                    partial.rename(path)
                except BaseException:
                    (old / path.name).rename(path)
                    raise
    with contextlib.suppress(OSError):  # the folder is there and whole: only a power cut now could undo its name
        sync_folder(path.parent)


def remove_leftovers(path: Path, say: Callable[[str], None] | None = None) -> None:
    """Delete what killed processes left while they wrote `path`; the only copy of a replaced folder is put back."""
    pattern = re.compile(re.escape(f".{path.name}.") + rf"[0-9a-z_]{{8}}\.({PARTIAL}|{OLD})")  # older versions too
    if not path.parent.is_dir():
        return
    found = [entry for entry in path.parent.iterdir() if pattern.fullmatch(entry.name)]
    for leftover in [entry for entry in found if not entry.is_symlink()]:
        with _locked(leftover, without_locks=False) as ours:  # else a write under way may be deleted
            if not ours:
                continue
            replaced = leftover / path.name
            line = f"removed {leftover}, left by a process that was killed"
            if leftover.suffix == f".{OLD}" and replaced.exists() and not path.exists():
                replaced.rename(path)
                line = f"put back {path}, which a process that was killed had moved aside to replace it"
            shutil.rmtree(leftover, ignore_errors=True) if leftover.is_dir() else leftover.unlink(missing_ok=True)
            if say is not None:
                say(line)


def sync_folder(folder: Path) -> None:
    """Make names that were just given in `folder` survive a power cut."""
    if sys.platform == "win32":  # folders cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _hidden_name(path: Path, suffix: str) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.{suffix}")


@contextlib.contextmanager
def _hidden_folder(path: Path, suffix: str) -> Iterator[Path]:
    """A new folder `.NAME.XXXXXXXX.SUFFIX` beside `path`, locked; deleted at the end."""
    with contextlib.ExitStack() as stack:
        while True:
            folder = _hidden_name(path, suffix)
            folder.mkdir()
            if stack.enter_context(
                _locked(folder, without_locks=True)
            ):  # else another process deleted it before it was locked
                break
        try:
            yield folder
        finally:
            if path.exists() or suffix == PARTIAL:  # the only copy of a replaced folder is never deleted
                shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _locked(entry: Path, *, without_locks: bool) -> Iterator[bool]:
    """Whether this process now holds the lock of a file or folder; the system drops it when the process ends.

    `without_locks` is the answer where the file system has no locks.
    """
    if sys.platform == "win32":
        yield without_locks
        return
    try:
        descriptor = os.open(entry, os.O_RDONLY)
    except OSError:  # gone already, or another user's
        yield False
        return
    try:
        yield _lock(descriptor, without_locks=without_locks) and entry.exists()
    finally:
        os.close(descriptor)


def _lock(descriptor: int, *, without_locks: bool = True) -> bool:
    if sys.platform == "win32":
        return without_locks
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):  # some network file systems
            raise
        return without_locks
    return True


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
