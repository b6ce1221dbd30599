"""Striped images of three classes, and bundles with a discriminator built by hand."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from tests.support.handmade import SIZE, write_bundle

MakeBundle = Callable[..., Path]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads of OpenMP spin while they wait for each other: on a busy machine tiny jobs take seconds with several."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gray 16x16 bundle with a discriminator of fixed weights."""
    return write_bundle(tmp_path_factory.mktemp("bundles") / "handmade.ganport")


@pytest.fixture
def make_bundle(tmp_path: Path) -> MakeBundle:
    """`write_bundle` into this test's folder."""

    def make(**settings: object) -> Path:
        return write_bundle(tmp_path / "made.ganport", **settings)  # type: ignore[arg-type]

    return make


def draw_stripes(per_class: int, channels: int = 1, seed: int = 0) -> tuple[npt.NDArray[np.uint8], list[str]]:
    random = np.random.default_rng(seed)
    waves = {"across": (0.0, 0.8), "along": (0.8, 0.0), "diagonal": (0.6, 0.6)}
    rows, columns = np.mgrid[:SIZE, :SIZE]
    images, labels = [], []
    for name, (down, right) in waves.items():
        for _ in range(per_class):
            wave = np.sin(down * rows + right * columns + random.uniform(0, 1.5))
            noisy = 127 + 80 * wave + random.normal(0, 10, wave.shape)
            images.append(np.repeat(noisy.clip(0, 255).astype(np.uint8)[..., None], channels, axis=2))
            labels.append(name)
    return np.stack(images), labels


@pytest.fixture(scope="session")
def striped_images() -> Callable[..., tuple[npt.NDArray[np.uint8], list[str]]]:
    """Draws noisy stripes of three kinds at random places, which any sound representation tells apart."""
    return draw_stripes


@pytest.fixture
def save_images(tmp_path: Path) -> Callable[..., str]:
    """Writes an .npz source of `images` and, where given, `labels`; returns its path."""

    def save(images: npt.NDArray[np.uint8], labels: list[str] | None = None) -> str:
        path = tmp_path / "images.npz"
        arrays: dict[str, npt.NDArray[Any]] = {"images": images}
        if labels is not None:
            arrays["labels"] = np.array(labels)
        np.savez(path, allow_pickle=False, **arrays)
        return str(path)

    return save


@pytest.fixture
def stripes(save_images: Callable[..., str]) -> str:
    """120 images of three classes."""
    return save_images(*draw_stripes(40))


@pytest.fixture
def striped_folder(tmp_path: Path) -> Path:
    """Eight PNGs in each of three sub-folders."""
    folder = tmp_path / "stripes"
    for index, (image, label) in enumerate(zip(*draw_stripes(8), strict=True)):
        (folder / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(folder / label / f"{index}.png")
    return folder
