"""Writes a bundle so that it appears whole or not at all, and an older one stays until the new one is there."""

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ganport_runtime import Bundle
from ganport_runtime.bundle import MANIFEST
from ganport_runtime.manifest import Manifest
from ganport_train import files

from ganport_export.errors import OutputError

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


def write_bundle(destination: Destination, manifest: Manifest, contents: Mapping[str, bytes]) -> None:
    """Write a bundle aside, read it back, and give it its name.

    Args:
        destination: the bundle's directory.
        manifest: what `manifest.json` is to say.
        contents: every other file of the bundle by its relative path.

    Raises:
        OutputError: something else has taken the name since `destination` was made.
        BundleError: what was written does not read back as a bundle.
    """
    path = dataclasses.replace(destination).path  # made anew, it looks again
    path.parent.mkdir(parents=True, exist_ok=True)
    with _aside(path) as aside:
        for name, data in contents.items():
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            files.write_bytes(aside / name, data)
        document = json.dumps(manifest.to_json(), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
        files.write_bytes(aside / MANIFEST, document.encode())
        Bundle.open(aside).verify()
        _put(aside, path)
    files.sync_folder(path.parent)


@contextlib.contextmanager
def _aside(path: Path) -> Iterator[Path]:
    """A folder inside a hidden one beside `path`, with the rights of any new folder; gone at the end unless renamed."""
    holder = _hidden(path, "partial")
    try:
        aside = holder / path.name
        aside.mkdir()  # mkdtemp's own folder is private to this user, and a bundle is not
        yield aside
    finally:
        shutil.rmtree(holder, ignore_errors=True)


def _hidden(path: Path, suffix: str) -> Path:
    return Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=f".{suffix}", dir=path.parent))


def _put(aside: Path, path: Path) -> None:
    """Rename `aside` to `path`; a bundle that is there is moved aside first, and back where that fails."""
    if not path.exists():
        aside.rename(path)
        return
    old = _hidden(path, "old") / path.name
    path.rename(old)
    try:
        aside.rename(path)
    except BaseException:
        old.rename(path)
        old.parent.rmdir()
        raise
    shutil.rmtree(old.parent)
