"""Networks and factories that no bundle can be made of, or that need a word: each is wrong in one way."""

import sys
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.export.user_networks import LATENT_DIM, SIZE, Plain


class FixedBatch(Plain):
    """Any batch of up to eight, and a graph that holds the batch it was traced with."""

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(torch.stack([self.values(row[None])[0] for row in z]))


def changed(change: Callable[[Tensor, Tensor], Any]) -> type[Plain]:
    """A network whose images go through `change(images, latents)`."""

    class Changed(Plain):
        def forward(self, z: Tensor) -> Any:
            return change(super().forward(z), z)

    return Changed


def _seeded(images: Tensor, z: Tensor) -> Tensor:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return images * 0.5 + torch.randn_like(z[:, :1, None, None])[:1] * 1e-9


def _untranslatable(images: Tensor, _: Tensor) -> Tensor:
    """Uses an operator that ONNX has no word for."""
    factors: Tensor = torch.linalg.eigvals(images).abs().clamp(0, 1)
    return images * factors[..., None]


Noisy = changed(lambda images, z: images * 0.5 + torch.randn(len(z), 1, SIZE, SIZE) / 9)
# Noise that two calls show and no pixel does.
FaintlyNoisy = changed(lambda images, z: images * 0.5 + torch.randn_like(z[:, :1, None, None]) * 1e-5)
# Noise, and dropout left on, that two calls do not show.
SeededNoise = changed(_seeded)
FaintDropout = changed(
    lambda images, z: images * 0.5 + functional.dropout(z[:, :1, None, None], 0.5, training=True) * 1e-9
)
LeavesAtRun = changed(lambda *_: sys.exit(3))
Bytes = changed(lambda images, _: (images + 1) * 127.5)
UnitRange = changed(lambda images, _: (images + 1) / 2)
Overshooting = changed(lambda images, _: images * 1.2)
Constant = changed(lambda images, _: images * 0 - 0.3)
Infinite = changed(lambda images, z: images / (z[:, :1, None, None] > 0))
HardFloat32 = changed(lambda images, z: images + torch.zeros(3, SIZE, 1) @ torch.zeros(1, SIZE).to(z.dtype))
QuietFloat32 = changed(lambda images, _: images.float())
Half = changed(lambda images, _: images.half())
Tuple = changed(lambda images, z: (images, z))
FourChannels = changed(lambda images, _: images[:, [0, 1, 2, 0]])
Untranslatable = changed(_untranslatable)


class Steep(Plain):
    """Multiplies rounding, until float32 differs from batch to batch and float64 does not."""

    def forward(self, z: Tensor) -> Tensor:
        return torch.sin(self.values(z) * 1e5)


class GroupedByBatch(nn.Module):
    """Modulated weights, one group an image (Karras et al. 2020, section 2.2)."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(LATENT_DIM, 4 * SIZE * SIZE)
        self.weight = nn.Parameter(torch.randn(3, 4, 3, 3))

    def forward(self, z: Tensor) -> Tensor:
        n = z.shape[0]
        weight = self.weight[None] * (1 + z[:, None, :4, None, None])
        x = self.dense(z).view(1, n * 4, SIZE, SIZE)
        x = functional.conv2d(x, weight.reshape(n * 3, 4, 3, 3), padding=1, groups=n)
        return torch.tanh(x.view(n, 3, SIZE, SIZE))


class BatchStatistics(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3, track_running_stats=False)

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(self.norm(self.values(z)))


class Deciding(Plain):
    """Takes one of two ways by a tensor's value."""

    def forward(self, z: Tensor) -> Tensor:
        return super().forward(z) if self.dense.weight.sum() > z.sum() * 0 else -super().forward(z)


def not_a_module() -> str:
    return "text"


def failing() -> nn.Module:
    raise RuntimeError("no such size. Try another")


def leaving() -> nn.Module:
    sys.exit(3)


def on_meta() -> nn.Module:
    with torch.device("meta"):
        return Plain()


def lazy() -> nn.Module:
    return nn.Sequential(nn.LazyLinear(3))


def scripted() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # old, and still what people have
        script: nn.Module = torch.jit.script(nn.Sequential(nn.Linear(2, 3)))
    return script


class Unmovable(Plain):
    def float(self) -> "Unmovable":
        raise NotImplementedError("no float here")
