"""Where images come from: scikit-learn's digits, a folder, a .zip, an .npz, one image; each yields named images."""

import io
import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image, UnidentifiedImageError

from ganport_train.errors import DataError

EXTENSIONS = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff"}
    | {".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".ico", ".jp2", ".avif"}
)
# Pillow would also hand a file to Ghostscript or to a stub that reads no pixels: those formats stay closed.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "DIB", "GIF", "TIFF", "PPM", "TGA", "ICO", "JPEG2000", "AVIF")
MAX_FILE_BYTES = 1 << 29  # of one entry of a .zip once unpacked
KINDS = "digits, a folder, a .zip, an .npz or an image"
# What reading raises where an archive or one of its entries is damaged, truncated, encrypted or unsupported.
DAMAGED = (OSError, ValueError, SyntaxError, EOFError, RuntimeError, NotImplementedError, MemoryError,
           struct.error, zipfile.BadZipFile, zlib.error, lzma.LZMAError)  # fmt: skip


@dataclass(frozen=True)
class Item:
    """One image of a source."""

    name: str
    class_name: str | None
    open: Callable[[], Image.Image]


@dataclass(frozen=True)
class ImageSource:
    """Images in a fixed order, and notes for people."""

    items: tuple[Item, ...]
    notes: tuple[str, ...] = ()


def open_source(source: str) -> ImageSource:
    """The images of `digits`, a folder, a .zip or an .npz, sorted by name, or of one image file.

    Sub-folders are classes: the first folder below the one that holds all images. Hidden files and `__MACOSX` do not
    count; files that are no images by their extension are left out, and a note says how many.
    """
    if not source:
        raise DataError(f"the source of images is an empty text: name {KINDS}")
    path = Path(source)
    if source == "digits":
        found = _digits()
    elif path.is_dir():
        found = _folder(path)
    elif not path.exists():
        raise DataError(f"{source}: there is no such file or folder: name {KINDS}")
    elif path.suffix.lower() == ".zip":
        found = _zip(path)
    elif path.suffix.lower() == ".npz":
        found = _npz(path)
    elif path.suffix.lower() in EXTENSIONS:
        found = ImageSource((Item(path.name, None, lambda: _decode(path.read_bytes())),))
    else:
        raise DataError(f"{source}: is of no known kind: name {KINDS}")
    if not found.items:
        among = f" ({'; '.join(found.notes)})" if found.notes else ""
        raise DataError(f"{source}: holds no images{among}: put PNG, JPEG, WebP or other images there, or name another")
    return found


def _digits() -> ImageSource:
    from sklearn.datasets import load_digits  # type: ignore[import-untyped]  # late: half a second, and only this source needs it

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)  # gray levels 0 to 16
    return _arrays(images, [str(label) for label in digits.target], "digit")


def _folder(root: Path) -> ImageSource:
    paths = {path.relative_to(root).as_posix(): path for path in _walk(root)}
    return _files(paths, lambda name: lambda: _decode(paths[name].read_bytes()))


def _walk(root: Path) -> Iterable[Path]:
    seen = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        folders[:] = [name for name in folders if not _is_hidden(name)]
        real = os.path.realpath(folder)
        if real in seen:  # a link that leads back up
            folders.clear()
            continue
        seen.add(real)
        yield from (Path(folder) / name for name in files)


def _zip(path: Path) -> ImageSource:
    try:
        archive = zipfile.ZipFile(path)
    except DAMAGED as error:
        raise DataError(f"{path}: is no readable .zip ({error}): pack or fetch it anew") from None
    entries = {entry.filename: entry for entry in archive.infolist() if not entry.is_dir()}
    for name in entries:
        if name.startswith("/") or ".." in PurePosixPath(name).parts or "\\" in name:
            raise DataError(f"{path}: entry {name!r} leads out of the archive: pack the images anew")
    return _files(entries, lambda name: lambda: _decode(_unpack(archive, entries[name])))


def _unpack(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    if entry.file_size > MAX_FILE_BYTES:
        raise ValueError(f"unpacks to {entry.file_size} bytes, more than {MAX_FILE_BYTES}")
    return archive.read(entry)


def _files(names: Iterable[str], opener: Callable[[str], Callable[[], Image.Image]]) -> ImageSource:
    visible = sorted(name for name in names if not any(_is_hidden(part) for part in name.split("/")))
    images = [name for name in visible if PurePosixPath(name).suffix.lower() in EXTENSIONS]
    root = os.path.commonpath([PurePosixPath(name).parent for name in images]) if images else ""
    items = tuple(Item(name, _class_of(name, root), opener(name)) for name in images)
    ignored = len(visible) - len(images)
    note = f"{ignored} files are no images by their extension and were left out"
    return ImageSource(items, (note,) if ignored else ())


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _class_of(name: str, root: str) -> str | None:
    parts = PurePosixPath(name).relative_to(root).parts
    return parts[0] if len(parts) > 1 else None


def _decode(content: bytes) -> Image.Image:
    Image.init()
    try:
        return Image.open(io.BytesIO(content), formats=[name for name in FORMATS if name in Image.OPEN])
    except UnidentifiedImageError:
        raise ValueError("it is no image, or damaged at its beginning") from None


def _npz(path: Path) -> ImageSource:
    arrays = _load_arrays(path)
    images = _image_array(path, arrays)
    return _arrays(images, _label_array(path, arrays, len(images)), "image")


def _load_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            raise DataError(f"{path}: is one array (.npy), wanted an .npz: save it with np.savez(path, images=array)")
        with loaded as archive:
            arrays = {name: archive[name] for name in archive.files}
    except DAMAGED as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path}: is no readable .npz of plain arrays ({reason}): save or fetch it anew") from None
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):  # NumPy hands out the bytes of an entry that is no .npy
            raise DataError(f"{path}: entry {name!r} is no array: save arrays alone, with np.savez")
    return arrays


def _image_array(path: Path, arrays: dict[str, np.ndarray]) -> np.ndarray:
    candidates = ["images"] if "images" in arrays else [name for name, a in arrays.items() if a.ndim in (3, 4)]
    if len(candidates) != 1:
        raise DataError(f"{path}: holds {', '.join(arrays) or 'nothing'}: name the array of images `images`")
    images = arrays[candidates[0]]
    if images.dtype != np.uint8:
        raise DataError(
            f"{path}: `{candidates[0]}` is {images.dtype}, wanted uint8 in 0 to 255: "
            "convert it, for example (x * 255).round().astype('uint8') for values in 0 to 1"
        )
    if not (images.ndim == 3 or (images.ndim == 4 and images.shape[3] in (1, 3, 4))) or 0 in images.shape[1:]:
        raise DataError(
            f"{path}: `{candidates[0]}` has shape {list(images.shape)}, wanted [n, height, width] or "
            "[n, height, width, 1, 3 or 4 channels]"
        )
    return images


def _label_array(path: Path, arrays: dict[str, np.ndarray], count: int) -> list[str] | None:
    labels = arrays.get("labels")
    if labels is None:
        return None
    if labels.shape != (count,) or labels.dtype.kind not in "iuU":
        raise DataError(
            f"{path}: `labels` is {labels.dtype} of shape {list(labels.shape)}, wanted one integer or text "
            f"for each of {count} images"
        )
    return [str(label) for label in labels]


def _arrays(images: np.ndarray, labels: list[str] | None, noun: str) -> ImageSource:
    digits = len(str(max(len(images) - 1, 0)))

    def item(index: int) -> Item:
        pixels = images[index, ..., 0] if images[index].shape[2:] == (1,) else images[index]
        return Item(f"{noun}-{index:0{digits}d}", labels[index] if labels else None, lambda: Image.fromarray(pixels))

    return ImageSource(tuple(item(index) for index in range(len(images))))
