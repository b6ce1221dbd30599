"""What is checked before a run's first step: its settings, its images, and that there is memory for it."""

import dataclasses
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from ganport_train import run_directory
from ganport_train.config import TrainingConfig
from ganport_train.data import ImageSet, load_images
from ganport_train.errors import ConfigError, DataError

# PyTorch has no exception of its own for this on a CPU: the allocator's refusal, and sizes beyond 64 bits.
TOO_LARGE = re.compile(r"allocate memory|out of memory|overflow", re.IGNORECASE)


def prepare(config: TrainingConfig, out: Path, *, resume: bool) -> tuple[TrainingConfig, ImageSet]:
    """Do every check of a run, write nothing, and return the effective settings and the images.

    Raises:
        ConfigError, DataError, CheckpointError: As `train`.
    """
    if not resume:
        run_directory.check_vacant(out)
    images = training_images(config)
    threads = config.threads or torch.get_num_threads()
    config = dataclasses.replace(config, channels=images.images.shape[3], threads=threads)
    if resume:
        run_directory.last_checkpoint(out, config, images.digest)
    return config, images


def training_images(config: TrainingConfig) -> ImageSet:
    """The images of `config.data`, checked to be enough for a batch."""
    images = load_images(
        config.data,
        resolution=config.resolution,
        channels=config.channels,
        background=config.background,
        skip_bad=config.skip_bad,
    )
    if len(images) < 2:
        raise DataError(f"{config.data}: holds one image: training needs at least 2, and good results some thousands")
    if len(images) < config.batch_size:
        raise ConfigError(
            f"--batch-size {config.batch_size} is more than the {len(images)} images of {config.data}: "
            f"use --batch-size {len(images)} or less, or more images"
        )
    return images


@contextmanager
def enough_memory(config: TrainingConfig) -> Iterator[None]:
    """Turn an out-of-memory error in the block into a `ConfigError` that names the settings which decide on it."""
    try:
        yield
    except (MemoryError, RuntimeError, TypeError, OverflowError) as error:
        if not isinstance(error, MemoryError) and not TOO_LARGE.search(str(error)):
            raise
        raise ConfigError(
            f"--width {config.width}, --latent-dim {config.latent_dim}, --resolution {config.resolution} and "
            f"--batch-size {config.batch_size} need more memory than this machine gives: lower one of them"
        ) from None
