"""Writes a bundle so that it appears whole or not at all, and an older one stays until the new one is there."""

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ganport_runtime import Bundle, atomic
from ganport_runtime.bundle import MANIFEST
from ganport_runtime.manifest import Manifest

from ganport_export.aside import OLD, PARTIAL, hidden_folder, remove_leftovers
from ganport_export.errors import OutputError
from ganport_export.observer import Observer, log

__all__ = ["Destination", "sha256", "write_bundle"]

SUFFIX = ".ganport"


def sha256(data: bytes) -> str:
    """The digest that a manifest holds of a file."""
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class Destination:
    """Where a bundle is to appear and what it is called. A value that exists can be written, as far as was known then.

    Args:
        out: the bundle's directory; directories above it are made.
        name: what the bundle is called; None: its directory's name without `.ganport`.
        overwrite: whether a bundle that is there may be replaced.

    Raises:
        OutputError: something is there and may not be replaced, or lies where a directory is needed.
    """

    out: Path
    name: str | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if not self.called.strip() or not self.called.isprintable():
            raise OutputError(f"a bundle in {self.out} cannot be called {self.called!r}: give printable text")
        parent = next(directory for directory in self.path.parents if directory.exists())
        if not parent.is_dir():
            raise OutputError(f"{self.out} cannot be written: {parent} is a file")
        if not os.access(parent, os.W_OK | os.X_OK):
            raise OutputError(f"{self.out} cannot be written: no right to write in {parent}")
        if self.path.exists() or self.path.is_symlink():
            self._check_replaceable()

    @property
    def path(self) -> Path:
        """The absolute path of the bundle's directory."""
        named = self.out.name not in ("", "..")  # a last part that is a link is seen as one
        return self.out.parent.resolve() / self.out.name if named else self.out.resolve()

    @property
    def called(self) -> str:
        """The bundle's name."""
        return self.path.name.removesuffix(SUFFIX) if self.name is None else self.name

    def _check_replaceable(self) -> None:
        if not self.overwrite:
            raise OutputError(f"{self.out} exists: choose another name, or --overwrite to replace it")
        directory = self.path.is_dir() and not self.path.is_symlink()
        if not directory or (any(self.path.iterdir()) and not (self.path / MANIFEST).is_file()):
            raise OutputError(f"{self.out} exists and is no bundle: it is not overwritten; choose another name")


def write_bundle(
    destination: Destination, manifest: Manifest, contents: Mapping[str, bytes], observer: Observer = log
) -> None:
    """Write a bundle aside, read it back, and give it its name.

    Args:
        destination: the bundle's directory.
        manifest: what `manifest.json` is to say.
        contents: every other file of the bundle by its relative path.
        observer: told of what exports to the same place left there when they were killed.

    Raises:
        OutputError: something else has taken the name since `destination` was made.
        BundleError: what was written does not read back as a bundle.
    """
    path = dataclasses.replace(destination).path  # made anew, it looks again
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path, observer)
    with hidden_folder(path, PARTIAL) as holder:
        aside = holder / path.name
        aside.mkdir()  # the hidden folder is private to this user, and a bundle is not
        for name, data in contents.items():
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            atomic.write_bytes(aside / name, data)
        document = json.dumps(manifest.to_json(), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
        atomic.write_bytes(aside / MANIFEST, document.encode())
        Bundle.open(aside).verify()
        _put(aside, path)
    with contextlib.suppress(OSError):  # the bundle is there and whole: only a power cut now could undo its name
        atomic.sync_folder(path.parent)


def _put(aside: Path, path: Path) -> None:
    """Rename `aside` to `path`; a bundle that is there is moved aside first, and back where that fails."""
    if not path.exists():
        aside.rename(path)
        return
    with hidden_folder(path, OLD) as folder:
        old = folder / path.name
        path.rename(old)
        try:
            aside.rename(path)
        except BaseException:
            old.rename(path)
            raise
