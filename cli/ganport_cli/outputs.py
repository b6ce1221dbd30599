"""What commands write: a file, whole or not at all, or a folder of PNGs that an interrupted command goes on filling."""

import json
import math
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ganport_runtime import Generator
from ganport_runtime.atomic import replacing_file
from ganport_train.grid import grid, picture
from numpy.lib import format as npy
from numpy.typing import NDArray

MAX_IMAGES = 4096  # 64 x 64 of them: more can hardly be looked at, and viewers give up
PNG_CHANNELS = (1, 2, 3, 4)  # gray, gray with alpha, color, color with alpha
RECORD = ".generation.json"  # hidden: the folder is a source of images, and holds nothing else to see

Advance = Callable[[int], None]  # is told how many more images are done


class WriteError(Exception):
    """Results cannot be written."""

    @classmethod
    def of(cls, path: Path, error: OSError) -> "WriteError":
        """The system's refusal of `path`."""
        why = error.strerror or error
        return cls(f"{path} cannot be written ({why}); mend that, or name another place, and run it again")


def check_free(out: Path, *, overwrite: bool) -> None:
    """Check before any work that `out` may be written; `WriteError` where it may not."""
    if out.is_dir():
        raise WriteError(f"{out} is a folder; name a file, or remove it")
    if out.exists() and not overwrite:
        raise WriteError(f"{out} exists; name another file, or pass --overwrite to replace it")


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """`replacing_file`, with the system's refusal as a `WriteError`."""
    try:
        with replacing_file(path) as partial:
            yield partial
    except OSError as error:
        raise WriteError.of(path, error) from error


def write_array(out: Path, batches: Iterable[NDArray[Any]], *, shape: tuple[int, ...], dtype: type[np.generic]) -> None:
    """Write batches, [n, *shape[1:]] of `dtype`, one after another as one array of `shape`."""
    _check_space(out, math.prod(shape) * np.dtype(dtype).itemsize)
    header = {"descr": npy.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
    with writing(out) as partial, partial.open("wb") as file:
        npy.write_array_header_1_0(file, header)
        for batch in batches:
            file.write(np.ascontiguousarray(batch).data)


def _check_space(out: Path, wanted: int) -> None:
    folder = next(parent for parent in out.absolute().parents if parent.exists())
    free = shutil.disk_usage(folder).free
    if wanted > free:
        raise WriteError(
            f"{out} needs {wanted / 1e9:,.1f} GB, {folder} has {free / 1e9:,.1f} GB free; ask for fewer images, "
            "or name a place with more room"
        )


def write_grid(out: Path, batches: Iterable[NDArray[np.uint8]], *, gap: int = 0) -> None:
    """Write images, uint8 [n, height, width, channels] a batch, as a near-square grid; `gap` in white pixels."""
    with writing(out) as partial:
        grid(np.concatenate(list(batches)), gap=gap).save(partial, "PNG")


def check_channels(shape: tuple[int, ...]) -> None:
    """Check that images of shape (height, width, channels) fit in a PNG."""
    if shape[2] not in PNG_CHANNELS:
        raise WriteError(f"images of {shape[2]} channels fit in no PNG; write an .npy")


@dataclass(frozen=True)
class ImageRange:
    """The images `start` to `start + count - 1` of a seed, made `batch` at a time."""

    count: int
    seed: int
    start: int
    batch: int


def to_grid(generator: Generator, out: Path, wanted: ImageRange, advance: Advance) -> int:
    """Write one PNG; returns how many images were made."""
    check_channels(generator.image_shape)
    write_grid(out, _stream(generator, wanted, advance))
    return wanted.count


def to_array(generator: Generator, out: Path, wanted: ImageRange, advance: Advance) -> int:
    """Write an .npy, uint8 [count, height, width, channels]; returns how many images were made."""
    shape = (wanted.count, *generator.image_shape)
    write_array(out, _stream(generator, wanted, advance), shape=shape, dtype=np.uint8)
    return wanted.count


def to_folder(generator: Generator, out: Path, wanted: ImageRange, advance: Advance) -> int:
    """Write one PNG an image, those that are not there yet; returns how many were made.

    A batch that lacks one image is computed whole and only what lacks is written: so every image has the same batch
    mates as in a run of the same command that was never interrupted, and the same pixels to the last bit.
    """
    check_channels(generator.image_shape)
    _open_folder(out, _settings(generator, wanted))
    made, end = 0, wanted.start + wanted.count
    for first in range(wanted.start, end, wanted.batch):
        files = {index: out / f"{index:08d}.png" for index in range(first, min(first + wanted.batch, end))}
        missing = [index for index, file in files.items() if not _is_there(file)]
        if missing:
            images = generator.sample(len(files), seed=wanted.seed, start=first)
            for index in missing:
                _write_png(files[index], images[index - first])
        made += len(missing)
        advance(len(files))
    return made


def _settings(generator: Generator, wanted: ImageRange) -> dict[str, Any]:
    plan = generator.plan
    return {
        "bundle": generator.bundle.digest,
        "seed": wanted.seed,
        "batch": wanted.batch,
        "variant": plan.variant,
        "precision": plan.precision,
        "backend": f"{plan.backend} {plan.backend_version}",
        "provider": plan.provider,
        "threads": plan.threads,
    }


def _stream(generator: Generator, wanted: ImageRange, advance: Advance) -> Iterator[NDArray[np.uint8]]:
    for images in generator.stream(wanted.count, seed=wanted.seed, start=wanted.start, batch=wanted.batch):
        yield images
        advance(len(images))


def _open_folder(folder: Path, settings: Mapping[str, Any]) -> None:
    """Make a folder whose images follow from `settings`; one that is there must have been begun with the same."""
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / RECORD
    if not record.exists():
        if not all(entry.name.startswith(f".{RECORD}.") for entry in folder.iterdir()):  # what a killed command left
            raise WriteError(f"{folder} holds other files; name a new folder")
        with writing(record) as partial:
            partial.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
        return
    try:
        begun = json.loads(record.read_text(encoding="utf-8"))
    except ValueError:
        raise WriteError(f"{record} is damaged; name a new folder") from None
    begun = begun if isinstance(begun, dict) else {}
    for key in {**settings, **begun}:
        if begun.get(key) != settings.get(key):
            raise WriteError(
                f"{folder} was begun with {key} {begun.get(key)}, this is {key} {settings.get(key)}; "
                "name another folder, or give the settings it was begun with"
            )


def _is_there(file: Path) -> bool:
    """Whether an image is there; an empty file, as a power cut leaves them, is not an image."""
    try:
        return file.stat().st_size > 0
    except FileNotFoundError:
        return False


def _write_png(path: Path, image: NDArray[np.uint8]) -> None:
    """Replace `path`, without waiting for the disk and without listing the folder, as one of very many files."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        picture(image).save(partial, "PNG")
        partial.replace(path)
    except OSError as error:
        raise WriteError.of(path, error) from error
    finally:
        with suppress(OSError):  # where even this is refused, nothing was written
            partial.unlink(missing_ok=True)
