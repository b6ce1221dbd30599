"""Reads a bundle and trusts nothing in it: a file is read once, and its digest checked before anything parses it."""

import os
import stat
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import BinaryIO, Self

from ganport_runtime.errors import BundleError, one_line
from ganport_runtime.manifest import Entry, Manifest, Probe, Role, Variant, parse_json

MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 16 * 2**20  # a larger one is damage, not a description
REMEDY = "copy the bundle again or export it again"


@dataclass(frozen=True)
class Bundle:
    """A bundle directory whose manifest has been read and whose files are where it says."""

    path: Path
    manifest: Manifest
    digest: str  # SHA-256 of the manifest's bytes, and through the digests inside of every file it lists

    @classmethod
    def open(cls, path: str | PathLike[str]) -> Self:
        """Read the manifest and see that every file it lists is there; a BundleError names the file and the remedy."""
        root = Path(path)
        manifest_file = root / MANIFEST
        data = _read_manifest(root)
        try:
            manifest = Manifest.from_json(parse_json(data))
        except BundleError as error:
            raise BundleError(f"{manifest_file}: {error}; {REMEDY}") from None
        bundle = cls(root, manifest, _sha256(data))
        real_root = os.path.realpath(root)
        for entry in bundle.files:
            _locate(root, entry.file, real_root)
        return bundle

    @property
    def files(self) -> tuple[Entry | Probe, ...]:
        """Everything that has a file: variants, engines, the probe."""
        return self.manifest.files

    def variants(self, role: Role) -> tuple[Variant, ...]:
        """The variants of one role, in the manifest's order."""
        return tuple(variant for variant in self.manifest.variants if variant.role == role)

    def entries(self, role: Role) -> tuple[Entry, ...]:
        """The variants of one role, then the engines made of them, in the manifest's order."""
        variants = self.variants(role)
        ids = {variant.id for variant in variants}
        return (*variants, *(engine for engine in self.manifest.engines if engine.variant in ids))

    def variant_of(self, entry: Entry) -> Variant:
        """The entry itself, or the variant that an engine was made of."""
        if isinstance(entry, Variant):
            return entry
        return next(variant for variant in self.manifest.variants if variant.id == entry.variant)

    def read(self, entry: Entry | Probe) -> bytes:
        """The bytes of an entry's file, read once; BundleError where it is missing, empty, outside or altered."""
        with self._opened(entry) as file:
            data = file.read()
        self._compare(entry, _sha256(data))
        return data

    def verify(self) -> None:
        """Check the digests of variants, engines and the probe; BundleError for the first file that fails."""
        for entry in self.files:
            self.read(entry)

    def _opened(self, entry: Entry | Probe) -> BinaryIO:
        try:
            return _locate(self.path, entry.file).open("rb")
        except OSError as error:
            raise BundleError(f"{self.path / entry.file}: {_reason(error)}; {REMEDY}") from None

    def _compare(self, entry: Entry | Probe, found: str) -> None:
        if found != entry.sha256:
            raise BundleError(
                f"{self.path / entry.file} was altered: its SHA-256 is {found[:12]}..., "
                f"the manifest says {entry.sha256[:12]}...; {REMEDY}"
            )


def _read_manifest(root: Path) -> bytes:
    file = root / MANIFEST
    try:
        if not stat.S_ISDIR(root.stat().st_mode):
            raise BundleError(f"{root} is a file; name a bundle directory")
    except FileNotFoundError:
        raise BundleError(f"{root} is missing; name a bundle directory") from None
    except (OSError, ValueError) as error:
        raise BundleError(f"{one_line(str(root))}: {_reason(error)}; name a bundle directory") from None
    if not file.exists():
        raise BundleError(f"{root} is no bundle: it holds no {MANIFEST}; name a directory that ganport export made")
    located = _locate(root, MANIFEST)
    try:
        if located.stat().st_size > MAX_MANIFEST_BYTES:
            raise BundleError(f"{file} is larger than {MAX_MANIFEST_BYTES} bytes; {REMEDY}")
        return located.read_bytes()
    except OSError as error:
        raise BundleError(f"{file}: {_reason(error)}; {REMEDY}") from None


def _locate(root: Path, name: str, real_root: str = "") -> Path:
    """The real path of a file of the bundle: there, a file, not empty, and no link that leads out."""
    named = root / name
    try:
        real = os.path.realpath(named, strict=True)
        real_root = real_root or os.path.realpath(root, strict=True)
        status = named.stat()
    except (OSError, ValueError) as error:  # ValueError: a name that no file system takes
        raise BundleError(f"{named}: {_reason(error)}; {REMEDY}") from None
    if os.path.commonpath([real, real_root]) != real_root:
        raise BundleError(f"{named} is a link that leaves the bundle; put the file itself into the bundle")
    if not stat.S_ISREG(status.st_mode) or status.st_size == 0:
        raise BundleError(f"{named} is {'empty' if stat.S_ISREG(status.st_mode) else 'not a file'}; {REMEDY}")
    return Path(real)


def _sha256(data: bytes) -> str:
    import hashlib  # 3 ms that `import ganport_runtime` need not take

    return hashlib.sha256(data).hexdigest()


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "the file is missing"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
