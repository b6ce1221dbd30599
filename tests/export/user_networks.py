"""Generators as other people write them: what `ganport export` is given in the tests."""

import warnings

import torch
from torch import Tensor, nn
from torch.nn import functional

LATENT_DIM = 12
SIZE = 16


def randomize(module: nn.Module, seed: int = 0) -> nn.Module:
    """Give every batch norm statistics and weights that are far from doing nothing; eval mode."""
    random = torch.Generator().manual_seed(seed)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d) and norm.running_mean is not None:
            assert norm.running_var is not None
            norm.running_mean.normal_(0, 0.5, generator=random)
            norm.running_var.uniform_(0.3, 3, generator=random)
            norm.weight.data.uniform_(0.5, 2, generator=random)
            norm.bias.data.normal_(0, 0.3, generator=random)
    return module.eval()


class UpsampleBlock(nn.Module):
    """Nearest upsampling, two convolutions with batch norm, and a 1x1 convolution around them."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.second_norm = nn.BatchNorm2d(outputs)
        self.skip = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.interpolate(x, scale_factor=2, mode="nearest")
        y = functional.relu(self.first_norm(self.first(x)))
        return functional.relu(self.second_norm(self.second(y)) + self.skip(x))


class Residual(nn.Module):
    """Residual upsampling blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(LATENT_DIM, 12 * 16)
        self.norm = nn.BatchNorm1d(12 * 16)
        self.blocks = nn.Sequential(UpsampleBlock(12, 10), UpsampleBlock(10, 6))
        self.to_image = nn.Conv2d(6, 3, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        x = functional.relu(self.norm(self.dense(z))).view(z.shape[0], 12, 4, 4)
        return torch.tanh(self.to_image(self.blocks(x)))


class Gray(nn.Module):
    """One channel; the latent goes straight into a transposed convolution, as in PyTorch's DCGAN tutorial."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ConvTranspose2d(LATENT_DIM, 8, 4, 1, 0, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(8, 8, 4, 2, 1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(8, 1, 4, 2, 1, bias=False),
            nn.Tanh(),
        )

    def forward(self, z: Tensor) -> Tensor:
        images: Tensor = self.layers(z[:, :, None, None])
        return images


class Square(nn.Module):
    """A transposed convolution with as many inputs as outputs: scaled along the wrong axis it keeps its shape."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(LATENT_DIM, 8 * 4 * 4)
        self.up = nn.ConvTranspose2d(8, 8, 4, 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.to_image = nn.ConvTranspose2d(8, 3, 4, 2, 1)

    def forward(self, z: Tensor) -> Tensor:
        x = torch.relu(self.dense(z).view(-1, 8, 4, 4))
        return torch.tanh(self.to_image(torch.relu(self.norm(self.up(x)))))


class SubPixel(nn.Module):
    """Channels-last reshape after the dense layer, and pixel shuffles between convolution and batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(LATENT_DIM, 4 * 4 * 8, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.up = nn.Conv2d(8, 6 * 4, 3, padding=1)
        self.up_norm = nn.BatchNorm2d(6)
        self.to_image = nn.Conv2d(6, 3 * 4, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        x = self.dense(z).view(-1, 4, 4, 8).permute(0, 3, 1, 2)
        x = functional.leaky_relu(self.norm(x), 0.2)
        x = functional.leaky_relu(self.up_norm(functional.pixel_shuffle(self.up(x), 2)), 0.2)
        return torch.tanh(functional.pixel_shuffle(self.to_image(x), 2))


class Modulated(nn.Module):
    """A mapping network whose styles scale the channels, and demodulation (Karras et al. 2020, section 2.2)."""

    def __init__(self) -> None:
        super().__init__()
        self.mapping = nn.Sequential(nn.Linear(LATENT_DIM, 16), nn.LeakyReLU(0.2))
        self.constant = nn.Parameter(torch.randn(1, 8, 8, 8))
        self.style = nn.Linear(16, 8)
        self.weight = nn.Parameter(torch.randn(8, 8, 3, 3))
        self.to_image = nn.utils.parametrizations.weight_norm(nn.Conv2d(8, 3, 1))

    def forward(self, z: Tensor) -> Tensor:
        w = self.mapping(z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8))
        style = self.style(w) + 1
        modulated = self.weight * style.reshape(-1, 1, 8, 1, 1)
        demodulation = torch.rsqrt(modulated.square().sum((2, 3, 4)) + 1e-8)
        x = functional.conv2d(self.constant * style.reshape(-1, 8, 1, 1), self.weight, padding=1)
        x = functional.leaky_relu(x * demodulation.reshape(-1, 8, 1, 1), 0.2)
        x = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return torch.tanh(self.to_image(x))


class PreActivation(nn.Module):
    """A batch norm with no layer before it, which cannot be folded."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(LATENT_DIM, 3 * SIZE * SIZE)
        self.norm = nn.BatchNorm2d(3)
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        x = torch.relu(self.dense(z).view(-1, 3, SIZE, SIZE))
        return torch.tanh(self.conv(torch.relu(self.norm(x))))


class Plain(nn.Module):
    """One dense layer: what the bad ones of `bad_networks` have in common."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(LATENT_DIM, 3 * SIZE * SIZE)

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(self.values(z))

    def values(self, z: Tensor) -> Tensor:
        values: Tensor = self.dense(z).view(-1, 3, SIZE, SIZE)
        return values


class Tied(Plain):
    """Two names for one tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.alias = self.dense


class InPlace(Plain):
    """Changes the latents that it is given."""

    def forward(self, z: Tensor) -> Tensor:
        return super().forward(z.mul_(2))


class IdleDropout(Plain):
    """Dropout that evaluation turns off."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.5)

    def forward(self, z: Tensor) -> Tensor:
        return super().forward(self.dropout(z))


class Talkative(Plain):
    def forward(self, z: Tensor) -> Tensor:
        print("a word from the network")
        return super().forward(z)


class Deprecated(Plain):
    def forward(self, z: Tensor) -> Tensor:
        warnings.warn("the network is old", UserWarning, stacklevel=2)
        return super().forward(z)
