"""PyTorch on a GPU: called as it is, by `torch.compile`, and recorded as a CUDA graph."""

import copy
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from importlib.util import find_spec

import torch
from torch import Tensor, nn
from torch._inductor import config

from ganport_bench.baselines import TRANSFERS, ImageSession, Settings, SystemUnderTest
from ganport_bench.baselines.pytorch import Call, closed, laid_out, own_call
from ganport_bench.subject import BaselineSource, Latents, NetworkSource, Pixels

HALVES = {"fp16": torch.float16, "bf16": torch.bfloat16}
WARM_RUNS = 3  # before recording: libraries are loaded and kernels chosen, which cannot be recorded


def baselines(source: BaselineSource) -> Iterator[SystemUnderTest]:
    """The module called, compiled, and recorded."""
    both = ("contiguous", "channels_last")
    for name, precision, layouts in (
        ("eager", "fp32", ("contiguous",)),
        ("channels-last", "fp32", ("channels_last",)),
        ("TF32", "tf32", both),
        ("fp16 autocast", "fp16", both),
        ("bf16 autocast", "bf16", both),
    ):
        settings, opening = partial(_layouts, layouts), partial(_open_eager, source, precision)
        yield SystemUnderTest(f"PyTorch on CUDA, {name}", cuda_refusal, settings, opening)
    for suffix, precision in (("", "fp32"), (", TF32", "tf32"), (", fp16 autocast", "fp16")):
        opening = partial(_open_compiled, source, precision)
        yield SystemUnderTest(f"torch.compile on CUDA{suffix}", _no_compiler, _compiled_settings, opening)
    for suffix, precision in (("", "fp32"), (", TF32", "tf32"), (", fp16", "fp16")):
        settings, opening = partial(_layouts, both), partial(_open_recorded, source, precision)
        yield SystemUnderTest(f"PyTorch CUDA graph{suffix}", cuda_refusal, settings, opening)


def cuda_refusal() -> str | None:
    """Why PyTorch cannot use a GPU here, or None."""
    if torch.cuda.is_available():
        return None
    built = torch.version.cuda
    why = f"it finds none that its CUDA {built} can use" if built else "it is built without CUDA"
    return f"torch has no CUDA device: torch {torch.__version__} is here, and {why}"


def set_float32_kind(precision: str) -> None:
    """Let float32 products be those of TF32 where that is the precision, and nowhere else; let cuDNN choose kernels.

    PyTorch's default is TF32 for convolutions alone, which is neither. These settings are the process's, so each run
    sets them anew where another system changed them.
    """
    is_tf32 = precision == "tf32"
    torch.set_float32_matmul_precision("high" if is_tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = is_tf32
    torch.backends.cudnn.benchmark = True


class PinnedCopies:
    """Copies of one batch size to the GPU and back, through page-locked memory, from which they are fastest."""

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


class CudaImageSession:
    """A call on the GPU between two copies, under autocast for `fp16` and `bf16`."""

    transfers, note = TRANSFERS["cuda"], ""

    def __init__(self, call: Call, batch: int, latent_dim: int, precision: str) -> None:
        self.precision = precision
        self._call, self._copies = call, PinnedCopies(batch, latent_dim)

    def run(self, z: Latents) -> Pixels:
        """Finished images; see `ImageSession`."""
        set_float32_kind(self.precision)
        half = HALVES.get(self.precision)
        with torch.inference_mode(), nullcontext() if half is None else torch.autocast("cuda", half):
            return self._copies.download(self._call(self._copies.upload(z)))

    def close(self) -> None:
        """Forget the module and give its memory back."""
        self._call = closed
        torch.cuda.empty_cache()


class RecordedSession:
    """A CUDA graph that reads its latents where they are uploaded and leaves its pixels where they were recorded."""

    transfers, note = TRANSFERS["cuda"], ""

    def __init__(self, module: nn.Module, batch: int, latent_dim: int, precision: str) -> None:
        self.precision = precision
        self._copies = PinnedCopies(batch, latent_dim)
        set_float32_kind(precision)  # recorded with the kernels; a replay asks no setting
        self._graph: torch.cuda.CUDAGraph | None = torch.cuda.CUDAGraph()
        self._module: nn.Module | None = module  # the graph reads the weights at their addresses
        with torch.inference_mode():
            side = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # recording wants a few runs on another stream
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(WARM_RUNS):
                    module(self._copies.z)
            torch.cuda.current_stream().wait_stream(side)
            with torch.cuda.graph(self._graph):
                self._pixels: Tensor | None = module(self._copies.z).contiguous()

    def run(self, z: Latents) -> Pixels:
        """Finished images; see `ImageSession`."""
        if self._graph is None or self._pixels is None:
            raise RuntimeError(f"{len(z)} latents for a baseline that is closed")
        with torch.inference_mode():
            self._copies.upload(z)
            self._graph.replay()
            return self._copies.download(self._pixels)

    def close(self) -> None:
        """Give the graph's memory back."""
        self._graph = self._module = self._pixels = None
        torch.cuda.empty_cache()


class _HalfNetwork(nn.Module):
    """A network with weights of another type, for float32 data; autocast would record the casts of all weights too."""

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.network, self._dtype = copy.deepcopy(network).to(dtype), dtype

    def forward(self, z: Tensor) -> Tensor:
        values: Tensor = self.network(z.to(self._dtype))
        return values.float()


def _layouts(layouts: Sequence[str], _batch: int) -> tuple[Settings, ...]:
    return tuple({"layout": layout} for layout in layouts)


def _open_eager(source: BaselineSource, precision: str, settings: Settings, batch: int) -> ImageSession:
    return CudaImageSession(_on_gpu(source, settings["layout"]), batch, source.latent_dim, precision)


def _no_compiler() -> str | None:
    if reason := cuda_refusal():
        return reason
    if find_spec("triton") is None:
        return "inductor needs triton, which is not installed; pip install triton"
    compilers = [os.environ["CC"]] if "CC" in os.environ else ["gcc", "clang"]
    if not any(shutil.which(compiler) for compiler in compilers):
        return f"triton needs a C compiler and {' or '.join(compilers)} is not here; install gcc, or name one in CC"
    return None


def _compiled_settings(_batch: int) -> tuple[Settings, ...]:
    """With and without measured kernels; its default mode is the first of these without the CUDA graph."""
    return tuple({"mode": mode} for mode in ("reduce-overhead", "max-autotune"))


def _open_compiled(source: BaselineSource, precision: str, settings: Settings, batch: int) -> ImageSession:
    call = own_call(_on_gpu(source, "channels_last"))
    compiled = torch.compile(call, fullgraph=True, dynamic=False, mode=settings["mode"])
    session = CudaImageSession(compiled, batch, source.latent_dim, precision)
    with config.patch(freezing=True):  # batch norm is folded then
        session.run(torch.zeros(batch, source.latent_dim).numpy())
    return session


def _open_recorded(source: BaselineSource, precision: str, settings: Settings, batch: int) -> ImageSession:
    """Record the graph of one batch size; fp16 has weights of float16."""
    if precision in HALVES:
        source = NetworkSource(_HalfNetwork(source.network, HALVES[precision]), source.latent_dim)
    return RecordedSession(_on_gpu(source, settings["layout"]), batch, source.latent_dim, precision)


def _on_gpu(source: BaselineSource, layout: str) -> nn.Module:
    return laid_out(source.module(), layout).to("cuda")
