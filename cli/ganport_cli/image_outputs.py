"""The three things that generated images are written to: a grid, an array, a folder."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ganport_runtime import Generator
from ganport_runtime.buckets import TOP, bucket_of
from numpy.typing import NDArray

from ganport_cli.array_file import write_array
from ganport_cli.image_folder import ImageFolder, fill
from ganport_cli.image_grid import check_channels, write_grid

__all__ = ["Wanted", "to_array", "to_folder", "to_grid"]

Advance = Callable[[int], None]  # is told how many more images are done


@dataclass(frozen=True)
class Wanted:
    """The images `start` to `start + count - 1` of a seed, made `batch` at a time."""

    count: int
    seed: int
    start: int
    batch: int


def to_grid(generator: Generator, out: Path, wanted: Wanted, advance: Advance) -> int:
    """Write one PNG; returns how many images were made."""
    check_channels(generator.image_shape)
    write_grid(out, _stream(generator, wanted, advance))
    return wanted.count


def to_array(generator: Generator, out: Path, wanted: Wanted, advance: Advance) -> int:
    """Write an .npy, uint8 [count, height, width, channels]; returns how many images were made."""
    shape = (wanted.count, *generator.image_shape)
    write_array(out, _stream(generator, wanted, advance), shape=shape, dtype=np.uint8)
    return wanted.count


def to_folder(generator: Generator, out: Path, wanted: Wanted, advance: Advance) -> int:
    """Write one PNG an image, those that are not there yet; returns how many were made."""
    check_channels(generator.image_shape)
    folder = ImageFolder(out, _settings(generator, wanted))
    made = 0
    for done, written in fill(folder, generator, wanted.seed, wanted.start, wanted.count, wanted.batch):
        made += written
        advance(done)
    return made


def _settings(generator: Generator, wanted: Wanted) -> dict[str, Any]:
    plan = generator.plans[bucket_of(min(wanted.batch, TOP))]  # of every batch but the last
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


def _stream(generator: Generator, wanted: Wanted, advance: Advance) -> Iterator[NDArray[np.uint8]]:
    for images in generator.stream(wanted.count, seed=wanted.seed, start=wanted.start, batch=wanted.batch):
        yield images
        advance(len(images))
