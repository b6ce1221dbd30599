"""PyTorch on a GPU as it is, in either memory format, in float32, in TF32 or under autocast."""

from ganport_bench.peers.protocol import Kind, Session, Settings
from ganport_bench.peers.pytorch import Layout
from ganport_bench.peers.pytorch_cuda import CudaSession, cuda_refusal, on_gpu
from ganport_bench.peers.source import Source

__all__ = ["EagerCuda"]


class EagerCuda:
    """The module, called on the GPU.

    Args:
        source: the network.
        name: what this way of calling it is called.
        precision: `fp32`, `tf32`, or `fp16` and `bf16`, which run it under autocast.
        layouts: memory formats worth trying.
    """

    kind: Kind = "peer"

    def __init__(self, source: Source, name: str, precision: str, layouts: tuple[Layout, ...]) -> None:
        self.name = name
        self._source, self._precision, self._layouts = source, precision, layouts

    def refusal(self) -> str | None:
        """Why it cannot run here, or None."""
        return cuda_refusal()

    def settings(self, batch: int) -> tuple[Settings, ...]:  # noqa: ARG002
        """Every layout."""
        return tuple({"layout": layout} for layout in self._layouts)

    def open(self, settings: Settings, batch: int) -> Session:
        """Copy the module to the GPU."""
        module = on_gpu(self._source, settings["layout"])
        return CudaSession(module, batch=batch, latent_dim=self._source.latent_dim, precision=self._precision)
