"""The pixel processing around a network, as PyTorch modules, so that it becomes part of the network's own graph."""

import torch
from ganport_train.networks import Discriminator
from torch import Tensor, nn

__all__ = ["DiscriminatorGraph", "GeneratorGraph"]

HALF_RANGE = 127.5  # half of 0..255


class GeneratorGraph(nn.Module):
    """Latents to finished pixels: rounded half to even, clipped, NHWC; the cast to uint8 last, as TensorRT wants it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, z: Tensor) -> Tensor:
        """Pixels uint8 [n, height, width, channels] of latents `z`, float32 [n, latent_dim]."""
        values = torch.round((self.network(z) + 1) * HALF_RANGE)
        return values.clamp(0, 255).permute(0, 2, 3, 1).to(torch.uint8)


class DiscriminatorGraph(nn.Module):
    """Pixels to logit and features; the cast from uint8 first, as TensorRT wants it."""

    def __init__(self, network: Discriminator) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Logits float32 [n] and features float32 [n, F] of pixels `image`, uint8 [n, height, width, channels]."""
        values = image.to(torch.float32) / HALF_RANGE - 1
        return self.network.logit_and_features(values.permute(0, 3, 1, 2))
