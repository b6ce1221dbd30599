"""`torch.compile` with the inductor backend, weights frozen into the code, one compilation a batch size."""

import os
import shutil
from collections.abc import Callable
from types import FunctionType
from typing import cast

import torch
from torch import Tensor, nn
from torch._inductor import config

from ganport_bench.peers.protocol import Kind, Session, Settings
from ganport_bench.peers.pytorch import PyTorchSession, laid_out
from ganport_bench.peers.source import Source
from ganport_bench.peers.threads import thread_choices

__all__ = ["Compiled", "own_call"]

Call = Callable[[Tensor], Tensor]


class Compiled:
    """The compiled module, in float32 or under bfloat16 autocast."""

    kind: Kind = "peer"

    def __init__(self, source: Source, *, precision: str) -> None:
        self.name = "torch.compile" + (", bf16 autocast" if precision == "bf16" else "")
        self._source, self._precision = source, precision

    def refusal(self) -> str | None:
        """Why inductor cannot compile for this CPU, or None."""
        compiler = os.environ.get("CXX", "g++")
        if shutil.which(compiler) is None:
            return f"inductor needs a C++ compiler and {compiler} is not here; install g++, or name one in CXX"
        return None

    def settings(self, batch: int) -> tuple[Settings, ...]:  # noqa: ARG002
        """With and without measured kernels for matrix products; frozen, the other memory format was never faster."""
        return tuple({"threads": str(thread_choices()[0]), "max_autotune": tuned} for tuned in ("off", "on"))

    def open(self, settings: Settings, batch: int) -> Session:
        """Compile for one batch size by running it once."""
        module = laid_out(self._source.module(), "channels_last")
        compiled = torch.compile(own_call(module), fullgraph=True, dynamic=False)
        session = PyTorchSession(compiled, threads=int(settings["threads"]), precision=self._precision)
        # Frozen weights are packed for the kernels, batch norm folded into them, which halves the time of one image.
        # As an option of torch.compile itself freezing comes too late to have an effect.
        with config.patch(freezing=True, max_autotune=settings["max_autotune"] == "on"):
            session.run(torch.zeros(batch, self._source.latent_dim).numpy())
        return session


def own_call(module: nn.Module) -> Call:
    """A function that calls the module and shares its code with no other.

    PyTorch keeps what it compiled by code object and tries one after the other at every call: with one code object for
    all sessions each would wait for the checks of the others.
    """

    def call(z: Tensor) -> Tensor:
        return cast(Tensor, module(z))

    return FunctionType(call.__code__.replace(), call.__globals__, call.__name__, None, call.__closure__)
