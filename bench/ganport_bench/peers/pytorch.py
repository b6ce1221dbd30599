"""What PyTorch's peers share: a module run without gradients, on a number of threads, in float32 or under autocast."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Literal

import torch
from torch import Tensor, nn

from ganport_bench.peers.protocol import TRANSFERS, Latents, Pixels

__all__ = ["MEMORY_FORMATS", "Layout", "PyTorchSession", "laid_out"]

Layout = Literal["contiguous", "channels_last"]
MEMORY_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


class PyTorchSession:
    """A module, or what it was compiled to.

    Args:
        call: latents float32 [n, latent_dim] to pixels uint8 [n, height, width, channels].
        threads: of the CPU; they are the process's, so each run sets them anew where another peer changed them.
        precision: `bf16` runs it under autocast.
    """

    transfers, note = TRANSFERS["cpu"], ""

    def __init__(self, call: Callable[[Tensor], Tensor], *, threads: int, precision: str) -> None:
        self.precision = precision
        self._call, self._threads = call, threads

    def run(self, z: Latents) -> Pixels:
        """Finished images; see the protocol."""
        if torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        autocast = torch.autocast("cpu", torch.bfloat16) if self.precision == "bf16" else nullcontext()
        with torch.inference_mode(), autocast:
            pixels: Pixels = self._call(torch.from_numpy(z)).contiguous().numpy()
        return pixels

    def close(self) -> None:
        """Forget the module."""
        self._call = _closed


def laid_out(module: nn.Module, layout: str) -> nn.Module:
    """The module with its weights in a memory format, which its activations follow."""
    return module.to(memory_format=MEMORY_FORMATS[layout])  # type: ignore[call-overload,no-any-return]


def _closed(z: Tensor) -> Tensor:
    raise RuntimeError(f"{len(z)} latents for a peer that is closed")
