"""Generated images as one PNG, as an array, or as a folder of PNGs that an interrupted command goes on filling."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ganport_runtime import Generator
from ganport_train.grid import picture
from numpy.typing import NDArray

from ganport_cli.outputs import WriteError, check_channels, write_array, write_grid, writing

RECORD = ".generation.json"  # hidden: the folder is a source of images, and holds nothing else to see

Advance = Callable[[int], None]  # is told how many more images are done


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
    """Write one PNG an image, those that are not there yet; returns how many were made."""
    check_channels(generator.image_shape)
    folder = ImageFolder(out, _settings(generator, wanted))
    made = 0
    for done, written in fill(folder, generator, wanted.seed, wanted.start, wanted.count, wanted.batch):
        made += written
        advance(done)
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


class ImageFolder:
    """A folder of images of one seed of one bundle, all made by one plan.

    Args:
        path: the folder; made where it is not there.
        settings: everything that the pixels of image k depend on beside k.

    Raises:
        WriteError: the folder holds other files, or was begun with other settings.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path = path
        self.settings = dict(settings)
        path.mkdir(parents=True, exist_ok=True)
        record = path / RECORD
        if record.exists():
            self._compare(record)
        elif not all(entry.name.startswith(f".{RECORD}.") for entry in path.iterdir()):  # what a killed command left
            raise WriteError(f"{path} holds other files; name a new folder")
        else:
            with writing(record) as partial:
                partial.write_text(json.dumps(self.settings, indent=2) + "\n", encoding="utf-8")

    def file(self, index: int) -> Path:
        """Where image `index` of the seed lies."""
        return self.path / f"{index:08d}.png"

    def has(self, index: int) -> bool:
        """Whether image `index` is there; an empty file, as a power cut leaves them, is not an image."""
        try:
            return self.file(index).stat().st_size > 0
        except FileNotFoundError:
            return False

    def _compare(self, record: Path) -> None:
        try:
            begun = json.loads(record.read_text(encoding="utf-8"))
        except ValueError:
            raise WriteError(f"{record} is damaged; name a new folder") from None
        for key in {**self.settings, **(begun if isinstance(begun, dict) else {})}:
            was = begun.get(key) if isinstance(begun, dict) else None
            if was != self.settings.get(key):
                raise WriteError(
                    f"{self.path} was begun with {key} {was}, this is {key} {self.settings.get(key)}; "
                    "name another folder, or give the settings it was begun with"
                )


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


def fill(
    folder: ImageFolder, generator: Generator, seed: int, start: int, count: int, batch: int
) -> Iterator[tuple[int, int]]:
    """Make the images that are missing of `start` to `start + count - 1`, a batch at a time.

    A batch that lacks one image is computed whole and only what lacks is written: so every image has the same batch
    mates as in a run of the same command that was never interrupted, and the same pixels to the last bit.

    Yields:
        For each batch, once it lies in the folder: its images, and how many of them were written now.
    """
    for first in range(start, start + count, batch):
        indices = range(first, min(first + batch, start + count))
        missing = [index for index in indices if not folder.has(index)]
        if missing:
            images = generator.sample(len(indices), seed=seed, start=first)
            for index in missing:
                _write_png(folder.file(index), images[index - first])
        yield len(indices), len(missing)
