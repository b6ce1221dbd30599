"""Tiny runs that the tests of training share."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ganport_train.config import TrainingConfig, preset


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny networks lose more to threads waiting for each other than they gain."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def image_archive(tmp_path: Path) -> Path:
    return write_archive(tmp_path / "images.npz")


def write_archive(path: Path) -> Path:
    """An .npz of 40 color images of 16x16 pixels in 2 classes."""
    random = np.random.default_rng(3)
    np.savez(path, images=random.integers(0, 256, (40, 16, 16, 3), dtype=np.uint8), labels=np.arange(40) % 2)
    return path


@pytest.fixture
def tiny(image_archive: Path) -> TrainingConfig:
    """Settings of a run of moments: 16x16, width 4, 6 steps."""
    return tiny_settings(image_archive)


def tiny_settings(data: Path, name: str = "rpgan", **settings: Any) -> TrainingConfig:
    small = {"resolution": 16, "width": 4, "latent_dim": 8, "batch_size": 8, "steps": 6, "threads": 1}
    return preset(name, str(data), **{**small, "checkpoint_every": 3, "sample_every": 3, **settings})
