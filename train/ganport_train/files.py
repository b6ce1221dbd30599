"""Files that appear whole or not at all: written aside in the same folder, synced, then renamed."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def partial(path: Path) -> Path:
    """Where `path` is written before it gets its name; what a killed process leaves there is no result."""
    return path.with_name(f".{path.name}.partial")


def write_bytes(path: Path, content: bytes) -> None:
    """Replace `path` by `content`, on disk when this returns."""
    aside = partial(path)
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Replace `path` by a JSON document; NaN and infinities raise `ValueError`."""
    write_bytes(path, (json.dumps(document, indent=2, allow_nan=False) + "\n").encode())


def replace_link(link: Path, target: str) -> None:
    """Point the symbolic link `link` at `target`, with no moment at which it points nowhere.

    A folder in its place is deleted once the link stands there.
    """
    aside, folder = partial(link), link.with_name(f".{link.name}.folder.partial")
    aside.unlink(missing_ok=True)
    aside.symlink_to(target)
    if link.is_dir() and not link.is_symlink():
        link.replace(folder)
    aside.replace(link)
    if folder.is_dir():
        shutil.rmtree(folder)


def sync_folder(folder: Path) -> None:
    """Make names that were just given in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Delete what a killed process was still writing in `folder`."""
    for leftover in folder.glob(".*.partial"):
        if leftover.is_dir() and not leftover.is_symlink():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()
