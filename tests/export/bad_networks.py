"""Networks and factories that no bundle can be made of, or that need a word: each is wrong in one way."""

import torch
from torch import Tensor, nn

from tests.export.user_networks import SIZE, Plain


class FixedBatch(Plain):
    """Any batch of up to eight, and a graph that holds the batch it was traced with."""

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(torch.stack([self.values(row[None])[0] for row in z]))


class Noisy(Plain):
    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(self.values(z) + torch.randn(len(z), 1, SIZE, SIZE))


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
