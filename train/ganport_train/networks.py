"""The two networks of a DCGAN (Radford et al. 2015) for any power-of-two resolution from 16 to 256."""

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Activation = Literal["relu", "leaky_relu"]
Initialization = Literal["normal", "he"]

BASE = 4  # height and width, in pixels, where the generator starts and the discriminator ends
LEAKY_SLOPE = 0.2
BATCH = 64  # images at once in `generate`, which bounds memory


def stage_channels(resolution: int, width: int) -> list[int]:
    """Channels of the feature maps from 4x4 up to resolution/2: halving to `width`, never above 8 * width."""
    sizes = [BASE << level for level in range(resolution.bit_length() - 3)]
    return [min(width * resolution // (2 * size), 8 * width) for size in sizes]


class DcganGenerator(nn.Module):
    """Latents to images: a linear layer to 4x4, then transposed convolutions that double the size, tanh at the end."""

    def __init__(
        self,
        *,
        resolution: int,
        channels: int,
        width: int,
        kernel: int,
        latent_dim: int,
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        stages = stage_channels(resolution, width)
        self.resolution, self.channels, self.latent_dim = resolution, channels, latent_dim
        self.project = nn.Linear(latent_dim, stages[0] * BASE * BASE, bias=False)
        self.project_norm = nn.BatchNorm2d(stages[0])
        self.activation = nn.ReLU() if activation == "relu" else nn.LeakyReLU(LEAKY_SLOPE)
        self.upsample = nn.ModuleList(
            _upsample(inputs, outputs, kernel, bias=False) for inputs, outputs in pairwise(stages)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(outputs) for outputs in stages[1:])
        self.to_image = _upsample(stages[-1], channels, kernel, bias=True)

    def forward(self, z: Tensor) -> Tensor:
        """Images [n, channels, resolution, resolution] in [-1, 1] of latents `z`, float [n, latent_dim]."""
        features = self.activation(self.project_norm(self.project(z).unflatten(1, (-1, BASE, BASE))))
        for upsample, norm in zip(self.upsample, self.norms, strict=True):
            features = self.activation(norm(upsample(features)))
        return torch.tanh(self.to_image(features))

    def extra_repr(self) -> str:
        """For `print`."""
        return f"latent_dim={self.latent_dim}, image={self.channels}x{self.resolution}x{self.resolution}"


class DcganDiscriminator(nn.Module):
    """Images to one logit each: convolutions that halve the size down to 4x4, LeakyReLU 0.2, a linear layer."""

    def __init__(self, *, resolution: int, channels: int, width: int, kernel: int, batch_norm: bool) -> None:
        super().__init__()
        stages = stage_channels(resolution, width)[::-1]
        self.resolution, self.channels, self.batch_norm = resolution, channels, batch_norm
        self.feature_dim = BASE * BASE * sum(stages)
        padding = (kernel - 1) // 2
        self.downsample = nn.ModuleList(
            nn.Conv2d(inputs, outputs, kernel, stride=2, padding=padding, bias=not batch_norm or index == 0)
            for index, (inputs, outputs) in enumerate(pairwise([channels, *stages]))
        )
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(outputs) if batch_norm and index > 0 else nn.Identity()
            for index, outputs in enumerate(stages)
        )
        self.to_logit = nn.Linear(stages[-1] * BASE * BASE, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [n], larger = more real, of `images`, float [n, channels, resolution, resolution] in [-1, 1]."""
        return self._logit(self.activations(images)[-1])

    def activations(self, images: Tensor) -> list[Tensor]:
        """Every convolution's activation, largest map first: [n, channels, size, size], size halving down to 4."""
        result, features = [], images
        for downsample, norm in zip(self.downsample, self.norms, strict=True):
            features = functional.leaky_relu(norm(downsample(features)), LEAKY_SLOPE)
            result.append(features)
        return result

    def features(self, images: Tensor) -> Tensor:
        """Features [n, feature_dim]: each activation max-pooled to 4x4, flattened, concatenated (Radford sec. 5.1)."""
        return _pool(self.activations(images))

    def logit_and_features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [n] and features [n, feature_dim] in one pass."""
        activations = self.activations(images)
        return self._logit(activations[-1]), _pool(activations)

    def extra_repr(self) -> str:
        """For `print`."""
        return f"image={self.channels}x{self.resolution}x{self.resolution}, feature_dim={self.feature_dim}"

    def _logit(self, last: Tensor) -> Tensor:
        logits: Tensor = self.to_logit(last.flatten(1))
        return logits.squeeze(1)


def _pool(activations: list[Tensor]) -> Tensor:
    *larger, last = activations  # the last is 4x4 as it is
    pooled = [functional.max_pool2d(a, a.shape[-1] // BASE) for a in larger]
    return torch.cat([p.flatten(1) for p in (*pooled, last)], dim=1)


def _upsample(inputs: int, outputs: int, kernel: int, *, bias: bool) -> nn.ConvTranspose2d:
    """A transposed convolution that doubles height and width exactly, for kernel 4 or 5."""
    padding = kernel // 2 if kernel % 2 else kernel // 2 - 1
    return nn.ConvTranspose2d(inputs, outputs, kernel, stride=2, padding=padding, output_padding=kernel % 2, bias=bias)


def initialize(network: nn.Module, scheme: Initialization, random: torch.Generator) -> None:
    """Draw every weight of `network` anew from `random`; biases become 0.

    "normal": N(0, 0.02), batch-norm scales N(1, 0.02) (Radford et al. 2015); "he": convolutions and linear layers keep
    the variance of what passes (He et al. 2015, for LeakyReLU 0.2).
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02 if scheme == "normal" else 0.0, generator=random)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            deviation = 0.02 if scheme == "normal" else _he_deviation(module)
            nn.init.normal_(module.weight, 0.0, deviation, generator=random)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _he_deviation(module: nn.Conv2d | nn.ConvTranspose2d | nn.Linear) -> float:
    if isinstance(module, nn.Linear):  # to the logit, or from the latents: no LeakyReLU before it that halves anything
        return float(module.in_features**-0.5)
    taps = module.kernel_size[0] * module.kernel_size[1]
    if isinstance(module, nn.ConvTranspose2d):
        taps //= module.stride[0] * module.stride[1]  # an output pixel sees one tap in stride * stride
    return float((2.0 / (1.0 + LEAKY_SLOPE**2) / (module.in_channels * taps)) ** 0.5)


@torch.inference_mode()
def generate(generator: DcganGenerator, latents: Tensor) -> Tensor:
    """uint8 images [n, channels, height, width] of latents [n, latent_dim], in batches; `generator` in eval mode."""
    return torch.cat([to_uint8(generator(batch)) for batch in torch.split(latents, BATCH)])


def to_uint8(images: Tensor) -> Tensor:
    """Pixels of [-1, 1] as uint8: round((x + 1) * 127.5), half to even."""
    return ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
