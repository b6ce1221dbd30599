"""How near generated images are to real ones: a Fréchet distance between features of a fixed, untrained network.

The distance is that of Heusel et al. 2017 (FID) between Gaussians fitted to the features of both sets. The features
are those of a small convolutional network with random weights (Naeem et al. 2020 show that such embeddings order
generators well), so that it needs no download, takes one channel or three, and any resolution. It serves to choose
among checkpoints of one run; it is no FID and compares with no published figure.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganport_train.randomness import random_source

CHANNELS = (32, 64, 64, 64, 64, 64)  # of the layers, each halving the size: enough for 256x256
SLOPE = 0.2  # of LeakyReLU
SMALLEST = 4  # pixels, height and width of the last map
CHUNK = 64  # images at once, which bounds memory


class FrechetDistance:
    """Measures generated images against real ones: uint8 [n, channels, size, size], size a power of two up to 256."""

    def __init__(self, real: Tensor) -> None:
        self._layers = _random_layers(real.shape[1], real.shape[-1])
        self._real = self._moments(real)

    def __call__(self, fake: Tensor) -> float:
        """Squared Fréchet distance of uint8 images, any number; 0 for equal sets."""
        return frechet_distance(*self._real, *self._moments(fake))

    @torch.inference_mode()
    def _moments(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean [F] and covariance [F, F] of the features, float64."""
        chunks = [_features(self._layers, chunk) for chunk in torch.split(images, CHUNK)]
        features = torch.cat(chunks).double()
        return features.mean(0), torch.cov(features.T)


def frechet_distance(mean: Tensor, covariance: Tensor, other_mean: Tensor, other_covariance: Tensor) -> float:
    """Squared Fréchet distance of two Gaussians (Dowson and Landau 1982), float64 [F] and [F, F] each.

    |m - n|^2 + tr(C) + tr(D) - 2 tr((C^1/2 D C^1/2)^1/2), which is symmetric inside, so that no square root of a
    general matrix is needed.
    """
    values, vectors = torch.linalg.eigh(covariance)
    root = (vectors * values.clamp_min(0).sqrt()) @ vectors.T  # rounding leaves tiny negative eigenvalues
    cross = torch.linalg.eigvalsh(root @ other_covariance @ root).clamp_min(0).sqrt().sum()
    distance = (mean - other_mean).square().sum() + covariance.trace() + other_covariance.trace() - 2 * cross
    return float(distance.clamp_min(0))


def _random_layers(channels: int, size: int) -> list[Tensor]:
    """Weights of 4x4 convolutions with stride 2 down to 4x4 pixels, the same in every run: He et al. 2015."""
    random = random_source(0, "embedding")
    depth = (size // SMALLEST).bit_length() - 1
    layers, inputs = [], channels
    for outputs in CHANNELS[:depth]:
        weight = torch.empty(outputs, inputs, 4, 4)
        layers.append(nn.init.kaiming_normal_(weight, SLOPE, generator=random))
        inputs = outputs
    return layers


def _features(layers: list[Tensor], images: Tensor) -> Tensor:
    """Channel means of every layer, which see texture, and the last map in 2x2, which sees where things are."""
    maps, means = images.float() / 127.5 - 1, []
    for weight in layers:
        maps = functional.leaky_relu(functional.conv2d(maps, weight, stride=2, padding=1), SLOPE)
        means.append(maps.mean((2, 3)))
    return torch.cat([*means, functional.adaptive_avg_pool2d(maps, 2).flatten(1)], dim=1)
