"""`torch.compile` for a GPU: weights frozen, launches recorded as a CUDA graph, one compilation a batch size."""

import os
import shutil
from importlib.util import find_spec

import torch
from torch._inductor import config

from ganport_bench.peers.compiled import own_call
from ganport_bench.peers.protocol import Kind, Session, Settings
from ganport_bench.peers.pytorch_cuda import CudaSession, cuda_refusal, on_gpu
from ganport_bench.peers.source import Source

__all__ = ["CompiledCuda"]

NAMES = {"fp32": "", "tf32": ", TF32", "fp16": ", fp16 autocast"}


class CompiledCuda:
    """The compiled module on the GPU, in float32, in TF32 or under float16 autocast."""

    kind: Kind = "peer"

    def __init__(self, source: Source, *, precision: str) -> None:
        self.name = f"torch.compile on CUDA{NAMES[precision]}"
        self._source, self._precision = source, precision

    def refusal(self) -> str | None:
        """Why inductor cannot compile for a GPU here, or None."""
        reason = cuda_refusal()
        if reason is not None:
            return reason
        if find_spec("triton") is None:
            return "inductor needs triton, which is not installed; pip install triton"
        compilers = [os.environ["CC"]] if "CC" in os.environ else ["gcc", "clang"]
        if not any(shutil.which(compiler) for compiler in compilers):
            return f"triton needs a C compiler and {' or '.join(compilers)} is not here; install gcc, or name one in CC"
        return None

    def settings(self, batch: int) -> tuple[Settings, ...]:  # noqa: ARG002
        """With and without measured kernels; its default mode is the first of these without the CUDA graph."""
        return tuple({"mode": mode} for mode in ("reduce-overhead", "max-autotune"))

    def open(self, settings: Settings, batch: int) -> Session:
        """Compile for one batch size by running it once."""
        source = self._source
        call = own_call(on_gpu(source, "channels_last"))
        compiled = torch.compile(call, fullgraph=True, dynamic=False, mode=settings["mode"])
        session = CudaSession(compiled, batch=batch, latent_dim=source.latent_dim, precision=self._precision)
        with config.patch(freezing=True):  # batch norm is folded then
            session.run(torch.zeros(batch, source.latent_dim).numpy())
        return session
