"""A small training run, and user modules with weights, that the tests of the export part share."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from ganport_export import export_module
from ganport_runtime.manifest import Manifest
from ganport_train.config import preset
from ganport_train.trainer import train

from tests.export import bad_networks, user_networks
from tests.export.user_networks import LATENT_DIM, SIZE, randomize

ExportModule = Callable[..., Manifest]


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four steps at 16x16, with batch norm in both networks and two checkpoints."""
    folder = tmp_path_factory.mktemp("runs")
    random = np.random.default_rng(5)
    np.savez(folder / "images.npz", images=random.integers(0, 256, (40, 16, 16, 3), dtype=np.uint8))
    settings = {"resolution": 16, "width": 6, "latent_dim": 10, "batch_size": 8, "steps": 4, "checkpoint_every": 2}
    train(preset("dcgan", str(folder / "images.npz"), threads=1, learning_rate=0.01, **settings), folder / "run")
    return folder / "run"


def home_of(name: str) -> str:
    """The module that holds the network `name`."""
    return next(module.__name__ for module in (user_networks, bad_networks) if name in vars(module))


def save_weights(name: str, path: Path, seed: int = 0) -> Path:
    """Write random weights for a network of `user_networks` or `bad_networks`."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = randomize(getattr(sys.modules[home_of(name)], name)(), seed)
    safetensors.torch.save_model(module, str(path))
    return path


@pytest.fixture
def export(tmp_path: Path) -> ExportModule:
    """Export one of the networks by name, with random weights, to `tmp_path/out/NAME.ganport`: fp32 as trained."""

    def export_named(name: str, *, latent_dim: int = LATENT_DIM, image_size: int = SIZE, **options: object) -> Manifest:
        weights = save_weights(name, tmp_path / f"{name}.safetensors")
        out = tmp_path / "out" / f"{name}.ganport"
        options = {"forms": ("deconv",), "precisions": ("fp32",), **options}
        return export_module(
            f"{home_of(name)}:{name}",
            weights=weights,
            latent_dim=latent_dim,
            image_size=image_size,
            out=out,
            **options,  # type: ignore[arg-type]
        )

    return export_named
