"""The two networks: shapes, channels, features and first weights."""

from typing import Any

import numpy as np
import pytest
import torch
from ganport_train.networks import Activation, DcganDiscriminator, DcganGenerator, initialize, stage_channels
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn


@pytest.mark.parametrize(
    ("resolution", "width", "channels"),
    [
        (16, 64, [128, 64]),
        (32, 64, [256, 128, 64]),
        (64, 64, [512, 256, 128, 64]),
        (128, 32, [256, 256, 128, 64, 32]),
        (256, 64, [512, 512, 512, 256, 128, 64]),
    ],
)
def test_channels_halve_from_4x4_up_and_are_capped_at_eight_widths(
    resolution: int, width: int, channels: list[int]
) -> None:
    assert stage_channels(resolution, width) == channels


@settings(max_examples=25, deadline=None)
@given(
    resolution=st.sampled_from([16, 32, 64, 128, 256]),
    channels=st.sampled_from([1, 3]),
    width=st.integers(1, 3),
    kernel=st.sampled_from([4, 5]),
    latent_dim=st.integers(1, 5),
    batch_norm=st.booleans(),
)
def test_any_shape_goes_through_both_networks(
    resolution: int, channels: int, width: int, kernel: int, latent_dim: int, batch_norm: bool
) -> None:
    shape: dict[str, Any] = {"resolution": resolution, "channels": channels, "width": width, "kernel": kernel}
    generator = DcganGenerator(**shape, latent_dim=latent_dim, activation="relu")
    discriminator = DcganDiscriminator(**shape, batch_norm=batch_norm)
    images = generator(torch.randn(2, latent_dim))
    assert images.shape == (2, channels, resolution, resolution)
    assert images.abs().max() <= 1
    logits, features = discriminator.eval().logit_and_features(images)
    torch.testing.assert_close(logits, discriminator(images), rtol=0, atol=1e-4)
    assert logits.shape == (2,)
    assert [isinstance(norm, nn.BatchNorm2d) for norm in discriminator.norms[:2]] == [False, batch_norm]
    assert features.shape == (2, discriminator.feature_dim)
    assert discriminator.feature_dim == 16 * sum(stage_channels(resolution, width))


def test_a_generator_of_64x64_has_the_layers_of_the_paper() -> None:
    generator = DcganGenerator(resolution=64, channels=3, width=64, kernel=4, latent_dim=100)
    stages = [module for module in generator.modules() if isinstance(module, nn.ConvTranspose2d)]
    assert [stage.in_channels for stage in stages] == [512, 256, 128, 64]
    assert [stage.bias is None for stage in stages] == [True, True, True, False]
    assert sum(isinstance(module, nn.BatchNorm2d) for module in generator.modules()) == 4
    assert sum(parameter.numel() for parameter in generator.parameters()) == (
        100 * 512 * 16 + 16 * (512 * 256 + 256 * 128 + 128 * 64 + 64 * 3) + 3 + 2 * (512 + 256 + 128 + 64)
    )


def test_activations_are_leaky_and_the_article_has_them_in_the_generator_too() -> None:
    shape: dict[str, Any] = {"resolution": 16, "channels": 1, "width": 2, "kernel": 5}
    z = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    images = {}
    activations: tuple[Activation, ...] = ("relu", "leaky_relu")
    for activation in activations:
        generator = DcganGenerator(**shape, latent_dim=3, activation=activation)
        initialize(generator, "normal", torch.Generator().manual_seed(1))
        images[activation] = generator(z)
    assert not torch.equal(images["relu"], images["leaky_relu"])


def test_features_are_the_largest_activations_of_each_cell_of_a_4x4_grid() -> None:
    discriminator = DcganDiscriminator(resolution=32, channels=3, width=2, kernel=4, batch_norm=False).eval()
    images = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        features = discriminator.features(images).numpy()
        activations = [activation.numpy() for activation in discriminator.activations(images)]
    assert [activation.shape[1:] for activation in activations] == [(2, 16, 16), (4, 8, 8), (8, 4, 4)]
    expected = []
    for activation in activations:
        count, channels, size, _ = activation.shape
        cells = activation.reshape(count, channels, 4, size // 4, 4, size // 4)
        expected.append(cells.max(axis=(3, 5)).reshape(count, -1))
    np.testing.assert_array_equal(features, np.concatenate(expected, axis=1))


def test_first_weights_follow_the_paper() -> None:
    generator = DcganGenerator(resolution=32, channels=3, width=32, kernel=4, latent_dim=64)
    initialize(generator, "normal", torch.Generator().manual_seed(7))
    assert {nn.ConvTranspose2d, nn.BatchNorm2d} <= {type(module) for module in generator.modules()}
    for module in generator.modules():
        if isinstance(module, nn.ConvTranspose2d | nn.Linear):
            assert abs(module.weight.mean()) < 2e-3
            assert abs(module.weight.std() - 0.02) < 2e-3
        if isinstance(module, nn.BatchNorm2d):
            assert abs(module.weight.mean() - 1) < 0.02
            assert 0.01 < module.weight.std() < 0.03
            assert module.bias.abs().max() == 0


def test_he_weights_keep_the_variance_of_what_passes() -> None:
    discriminator = DcganDiscriminator(resolution=64, channels=3, width=32, kernel=4, batch_norm=False)
    initialize(discriminator, "he", torch.Generator().manual_seed(7))
    images = torch.randn(16, 3, 64, 64, generator=torch.Generator().manual_seed(8))
    for activation in discriminator.activations(images):
        second_moment = float(activation.detach().square().mean())
        assert 0.5 < second_moment < 1.5  # zero padding takes a little from the edges


def test_weights_follow_from_the_seed_alone() -> None:
    shape = {"resolution": 16, "channels": 1, "width": 2, "kernel": 4}
    one, other = (DcganDiscriminator(**shape, batch_norm=False) for _ in range(2))
    initialize(one, "he", torch.Generator().manual_seed(3))
    initialize(other, "he", torch.Generator().manual_seed(3))
    for parameter, same in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(parameter, same)
