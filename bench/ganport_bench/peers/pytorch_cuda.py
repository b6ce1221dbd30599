"""What PyTorch's peers on a GPU share: why there is none, which numbers it computes with, how data comes and goes."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from ganport_bench.peers.protocol import TRANSFERS, Latents, Pixels
from ganport_bench.peers.pytorch import laid_out
from ganport_bench.peers.source import Source

__all__ = ["HALVES", "CudaSession", "Lane", "cuda_refusal", "on_gpu", "set_numbers"]

HALVES = {"fp16": torch.float16, "bf16": torch.bfloat16}


class CudaSession:
    """A module on the GPU, or what it was compiled to, between two copies.

    Args:
        call: latents float32 [batch, latent_dim] to pixels uint8 [batch, height, width, channels], both on the GPU.
        batch: images a call.
        latent_dim: numbers in one latent.
        precision: `fp32`, `tf32`, or `fp16` and `bf16`, which run it under autocast.
    """

    transfers, note = TRANSFERS["cuda"], ""

    def __init__(self, call: Callable[[Tensor], Tensor], *, batch: int, latent_dim: int, precision: str) -> None:
        self.precision = precision
        self._call, self._lane = call, Lane(batch, latent_dim)

    def run(self, z: Latents) -> Pixels:
        """Finished images; see the protocol."""
        set_numbers(self.precision)
        with torch.inference_mode(), _autocast(self.precision):
            return self._lane.download(self._call(self._lane.upload(z)))

    def close(self) -> None:
        """Forget the module and give its memory back."""
        self._call = _closed
        torch.cuda.empty_cache()


class Lane:
    """The way of one batch size to the GPU and back, through page-locked memory, from which copies are fastest.

    Attributes:
        z: the latents on the GPU, float32 [batch, latent_dim]; their address never changes.
    """

    def __init__(self, batch: int, latent_dim: int) -> None:
        self.z = torch.zeros(batch, latent_dim, device="cuda")
        self._latents = torch.empty(batch, latent_dim, pin_memory=True)
        self._pixels = torch.empty(0, dtype=torch.uint8)

    def upload(self, z: Latents) -> Tensor:
        """Put latents into the stream; what comes after it in the stream finds them in `z`."""
        self._latents.copy_(torch.from_numpy(z))
        return self.z.copy_(self._latents, non_blocking=True)

    def download(self, pixels: Tensor) -> Pixels:
        """Wait for pixels; a copy of them that is the caller's to keep."""
        if self._pixels.shape != pixels.shape:
            self._pixels = torch.empty(pixels.shape, dtype=torch.uint8, pin_memory=True)
        self._pixels.copy_(pixels.contiguous(), non_blocking=True)
        torch.cuda.current_stream().synchronize()
        images: Pixels = self._pixels.numpy().copy()
        return images


def cuda_refusal() -> str | None:
    """Why PyTorch cannot use a GPU here, or None."""
    if torch.cuda.is_available():
        return None
    built = torch.version.cuda
    why = f"it finds none that its CUDA {built} can use" if built else "it is built without CUDA"
    return f"torch has no CUDA device: torch {torch.__version__} is here, and {why}"


def on_gpu(source: Source, layout: str) -> nn.Module:
    """The network with its pixel processing on the GPU, in a memory format."""
    return laid_out(source.module(), layout).to("cuda")


def set_numbers(precision: str) -> None:
    """Let float32 products be those of TF32 where that is the precision, and nowhere else; measure convolutions.

    PyTorch's default is TF32 for convolutions alone, which is neither. These settings are the process's, so each run
    sets them anew where another peer changed them.
    """
    is_tf32 = precision == "tf32"
    torch.set_float32_matmul_precision("high" if is_tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = is_tf32
    torch.backends.cudnn.benchmark = True


def _autocast(precision: str) -> AbstractContextManager[object]:
    return torch.autocast("cuda", HALVES[precision]) if precision in HALVES else nullcontext()


def _closed(z: Tensor) -> Tensor:
    raise RuntimeError(f"{len(z)} latents for a peer that is closed")
