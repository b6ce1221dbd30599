"""Networks and factories that no bundle can be made of, or that need a word: each is wrong in one way."""

import sys
import warnings

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.export.user_networks import LATENT_DIM, SIZE, Plain


class FixedBatch(Plain):
    """Any batch of up to eight, and a graph that holds the batch it was traced with."""

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(torch.stack([self.values(row[None])[0] for row in z]))


class Noisy(Plain):
    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(self.values(z) + torch.randn(len(z), 1, SIZE, SIZE))


class FaintlyNoisy(Plain):
    """Noise that two calls show and no pixel does."""

    def forward(self, z: Tensor) -> Tensor:
        return super().forward(z) * 0.5 + torch.randn_like(z[:, :1, None, None]) * 1e-5


class SeededNoise(Plain):
    """Noise that two calls do not show."""

    def forward(self, z: Tensor) -> Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return super().forward(z) * 0.5 + torch.randn_like(z[:, :1, None, None])[:1] * 1e-9


class FaintDropout(Plain):
    """Dropout left on, too faint for two calls to show it."""

    def forward(self, z: Tensor) -> Tensor:
        return super().forward(z) * 0.5 + functional.dropout(z[:, :1, None, None], 0.5, training=True) * 1e-9


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


class LeavesAtRun(Plain):
    def forward(self, z: Tensor) -> Tensor:
        sys.exit(3)


class BatchStatistics(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3, track_running_stats=False)

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(self.norm(self.values(z)))


class Bytes(Plain):
    """Images in 0..255."""

    def forward(self, z: Tensor) -> Tensor:
        return (super().forward(z) + 1) * 127.5


class UnitRange(Plain):
    """Images in 0..1."""

    def forward(self, z: Tensor) -> Tensor:
        return torch.sigmoid(self.values(z))


class Overshooting(Plain):
    """A few values beyond 1."""

    def forward(self, z: Tensor) -> Tensor:
        return super().forward(z) * 1.2


class Constant(Plain):
    def forward(self, z: Tensor) -> Tensor:
        return super().forward(z * 0)


class Infinite(Plain):
    def forward(self, z: Tensor) -> Tensor:
        return super().forward(z) / (z[:, :1, None, None] > 0)


class HardFloat32(Plain):
    def forward(self, z: Tensor) -> Tensor:
        return super().forward(z) + torch.zeros(3, SIZE, 1, dtype=torch.float32) @ torch.zeros(1, SIZE).to(z.dtype)


class QuietFloat32(Plain):
    def forward(self, z: Tensor) -> Tensor:
        return super().forward(z).float()


class Half(Plain):
    def forward(self, z: Tensor) -> Tensor:
        return super().forward(z).half()


class Tuple(Plain):
    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        return super().forward(z), z


class FourChannels(Plain):
    def forward(self, z: Tensor) -> Tensor:
        return super().forward(z)[:, [0, 1, 2, 0]]


class Untranslatable(Plain):
    """Uses an operator that ONNX has no word for."""

    def forward(self, z: Tensor) -> Tensor:
        images = super().forward(z)
        factors: Tensor = torch.linalg.eigvals(images).abs().clamp(0, 1)
        return images * factors[..., None]


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
