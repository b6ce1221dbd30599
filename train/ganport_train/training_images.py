"""The images that settings ask for, checked to be enough to train on."""

from ganport_train.config import TrainingConfig
from ganport_train.data import ImageSet, load_images
from ganport_train.errors import ConfigError, DataError


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
