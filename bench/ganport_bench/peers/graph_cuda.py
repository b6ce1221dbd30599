"""PyTorch recorded as a CUDA graph: one launch for the whole network, as one writes it by hand."""

import copy

import torch
from torch import Tensor, nn

from ganport_bench.peers.protocol import TRANSFERS, Kind, Latents, Pixels, Session, Settings
from ganport_bench.peers.pytorch_cuda import HALVES, Lane, cuda_refusal, on_gpu, set_numbers
from ganport_bench.peers.source import NetworkSource, Source

__all__ = ["GraphCuda"]

NAMES = {"fp32": "", "tf32": ", TF32", "fp16": ", fp16"}
WARM_RUNS = 3  # before recording: libraries are loaded and kernels chosen, which cannot be recorded


class GraphCuda:
    """A CUDA graph of the module, in float32, in TF32 or with weights of float16."""

    kind: Kind = "peer"

    def __init__(self, source: Source, *, precision: str) -> None:
        self.name = f"PyTorch CUDA graph{NAMES[precision]}"
        self._source, self._precision = source, precision

    def refusal(self) -> str | None:
        """Why it cannot run here, or None."""
        return cuda_refusal()

    def settings(self, batch: int) -> tuple[Settings, ...]:  # noqa: ARG002
        """Every memory format."""
        return tuple({"layout": layout} for layout in ("contiguous", "channels_last"))

    def open(self, settings: Settings, batch: int) -> Session:
        """Record the graph of one batch size."""
        source: Source = self._source
        if self._precision in HALVES:
            source = NetworkSource(_Typed(source.network, HALVES[self._precision]), source.latent_dim)
        return _Session(on_gpu(source, settings["layout"]), batch, source.latent_dim, self._precision)


class _Typed(nn.Module):
    """A network with weights of another type, for float32 data; autocast would record the casts of all weights too."""

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.network, self._dtype = copy.deepcopy(network).to(dtype), dtype

    def forward(self, z: Tensor) -> Tensor:
        values: Tensor = self.network(z.to(self._dtype))
        return values.float()


class _Session:
    """A graph that reads its latents from where the lane puts them and leaves its pixels where they were recorded."""

    transfers, note = TRANSFERS["cuda"], ""

    def __init__(self, module: nn.Module, batch: int, latent_dim: int, precision: str) -> None:
        self.precision = precision
        self._lane = Lane(batch, latent_dim)
        set_numbers(precision)  # recorded with the kernels; a replay asks no setting
        self._graph: torch.cuda.CUDAGraph | None = torch.cuda.CUDAGraph()
        self._module: nn.Module | None = module  # the graph reads the weights at their addresses
        with torch.inference_mode():
            _warm_up(module, self._lane.z)
            with torch.cuda.graph(self._graph):
                self._pixels: Tensor | None = module(self._lane.z).contiguous()

    def run(self, z: Latents) -> Pixels:
        if self._graph is None or self._pixels is None:
            raise RuntimeError(f"{len(z)} latents for a peer that is closed")
        with torch.inference_mode():
            self._lane.upload(z)
            self._graph.replay()
            return self._lane.download(self._pixels)

    def close(self) -> None:
        self._graph = self._module = self._pixels = None
        torch.cuda.empty_cache()


def _warm_up(module: nn.Module, z: Tensor) -> None:
    """Run a few times on a stream of its own, as recording wants it."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_RUNS):
            module(z)
    torch.cuda.current_stream().wait_stream(side)
