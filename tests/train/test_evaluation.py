"""The distance between sets of images: its closed form, and that it orders them as eyes do."""

import numpy as np
import pytest
import torch
from ganport_train.evaluation import FrechetDistance, frechet_distance
from scipy import linalg  # type: ignore[import-untyped]


def shapes(seed: int, count: int = 64, size: int = 32, channels: int = 3) -> torch.Tensor:
    """Bright rectangles on dark, uint8."""
    random = np.random.default_rng(seed)
    images = np.full((count, channels, size, size), 30, np.uint8)
    for image in images:
        top, left = random.integers(0, size // 2, 2)
        image[:, top : top + size // 2, left : left + size // 2] = random.integers(100, 256, (channels, 1, 1))
    return torch.from_numpy(images)


def noisy(images: torch.Tensor, amount: float) -> torch.Tensor:
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(1)) * amount
    return (images + noise).clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize(("size", "channels"), [(16, 1), (32, 3), (64, 3)])
def test_equal_images_are_at_distance_zero(size: int, channels: int) -> None:
    images = shapes(0, size=size, channels=channels)
    assert FrechetDistance(images)(images) == pytest.approx(0, abs=1e-6)


def test_other_images_of_the_same_kind_are_near_and_noise_is_far() -> None:
    measure = FrechetDistance(shapes(0))
    same_kind = measure(shapes(1))
    distances = [measure(noisy(shapes(1), amount)) for amount in (10, 30, 90)]
    assert 0 < same_kind < distances[0] < distances[1] < distances[2]
    assert distances[2] > 3 * same_kind


def test_one_image_repeated_is_farther_than_variety() -> None:
    measure = FrechetDistance(shapes(0))
    assert measure(shapes(1)[:1].expand(64, -1, -1, -1)) > 1.2 * measure(shapes(1))


def test_order_does_not_matter_and_every_chunk_counts() -> None:
    images = shapes(0, count=150, size=16)
    measure = FrechetDistance(images)
    assert measure(images.flip(0)) == pytest.approx(0, abs=1e-6)
    changed = torch.cat([images[:140], noisy(images[140:], 60)])
    assert measure(changed) > 1e-3


def test_gaussians_are_as_far_apart_as_a_general_matrix_root_says() -> None:
    random = np.random.default_rng(0)
    first, second = (random.normal(size=(200, 5)) @ random.normal(size=(5, 5)) for _ in range(2))
    second += 3
    root = linalg.sqrtm(np.cov(first.T) @ np.cov(second.T)).real
    wanted = np.sum((first.mean(0) - second.mean(0)) ** 2) + np.trace(np.cov(first.T) + np.cov(second.T) - 2 * root)
    moments = [torch.from_numpy(m) for rows in (first, second) for m in (rows.mean(0), np.cov(rows.T))]
    assert frechet_distance(*moments) == pytest.approx(wanted, rel=1e-9)


def test_gaussians_of_one_number_are_apart_by_mean_and_deviation() -> None:
    one, four = torch.tensor([[1.0]]).double(), torch.tensor([[4.0]]).double()
    mean = torch.tensor([0.0]).double()
    assert frechet_distance(mean, one, mean + 3, four) == pytest.approx(3**2 + (2 - 1) ** 2)
