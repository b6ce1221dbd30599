"""PyTorch on the CPU: called as it is in either memory format, and by `torch.compile`; float32 or bfloat16 autocast."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from types import FunctionType
from typing import cast

import torch
from torch import Tensor, nn
from torch._inductor import config

from ganport_bench.baselines import TRANSFERS, ImageSession, Settings, SystemUnderTest, thread_choices
from ganport_bench.subject import BaselineSource, Latents, Pixels

MEMORY_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}

Call = Callable[[Tensor], Tensor]


def baselines(source: BaselineSource) -> Iterator[SystemUnderTest]:
    """The module called, and compiled."""
    for name, precision, layouts in (
        ("eager", "fp32", ("contiguous",)),
        ("channels-last", "fp32", ("channels_last",)),
        ("bf16 autocast", "bf16", ("contiguous", "channels_last")),
    ):
        settings = partial(_eager_settings, layouts)
        yield SystemUnderTest(f"PyTorch, {name}", lambda: None, settings, partial(_open_eager, source, precision))
    for name, precision in (("torch.compile", "fp32"), ("torch.compile, bf16 autocast", "bf16")):
        yield SystemUnderTest(name, _no_compiler, _compiled_settings, partial(_open_compiled, source, precision))


class PyTorchSession:
    """A module, or what it was compiled to."""

    transfers, note = TRANSFERS["cpu"], ""

    def __init__(self, call: Call, threads: int, precision: str) -> None:
        self.precision = precision
        self._call, self._threads = call, threads

    def run(self, z: Latents) -> Pixels:
        """Finished images; see `ImageSession`."""
        if torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        autocast = torch.autocast("cpu", torch.bfloat16) if self.precision == "bf16" else nullcontext()
        with torch.inference_mode(), autocast:
            pixels: Pixels = self._call(torch.from_numpy(z)).contiguous().numpy()
        return pixels

    def close(self) -> None:
        """Forget the module."""
        self._call = closed


def _eager_settings(layouts: Sequence[str], _batch: int) -> tuple[Settings, ...]:
    return tuple({"threads": str(count), "layout": layout} for layout in layouts for count in thread_choices())


def _open_eager(source: BaselineSource, precision: str, settings: Settings, _batch: int) -> ImageSession:
    return PyTorchSession(laid_out(source.module(), settings["layout"]), int(settings["threads"]), precision)


def _no_compiler() -> str | None:
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        return f"inductor needs a C++ compiler and {compiler} is not here; install g++, or name one in CXX"
    return None


def _compiled_settings(_batch: int) -> tuple[Settings, ...]:
    """With and without measured kernels for matrix products; frozen, the other memory format was never faster."""
    return tuple({"threads": str(thread_choices()[0]), "max_autotune": tuned} for tuned in ("off", "on"))


def _open_compiled(source: BaselineSource, precision: str, settings: Settings, batch: int) -> ImageSession:
    module = laid_out(source.module(), "channels_last")
    compiled = torch.compile(own_call(module), fullgraph=True, dynamic=False)
    session = PyTorchSession(compiled, int(settings["threads"]), precision)
    # Frozen weights are packed for the kernels, batch norm folded into them, which halves the time of one image.
    # As an option of torch.compile itself freezing comes too late to have an effect.
    with config.patch(freezing=True, max_autotune=settings["max_autotune"] == "on"):
        session.run(torch.zeros(batch, source.latent_dim).numpy())
    return session


def laid_out(module: nn.Module, layout: str) -> nn.Module:
    """The module with its weights in a memory format, which its activations follow."""
    return module.to(memory_format=MEMORY_FORMATS[layout])  # type: ignore[call-overload,no-any-return]


def own_call(module: nn.Module) -> Call:
    """A function that calls the module and shares its code with no other.

    PyTorch keeps what it compiled by code object and tries one after the other at every call: with one code object for
    all sessions each would wait for the checks of the others.
    """

    def call(z: Tensor) -> Tensor:
        return cast(Tensor, module(z))

    return FunctionType(call.__code__.replace(), call.__globals__, call.__name__, None, call.__closure__)


def closed(z: Tensor) -> Tensor:
    """In the place of a module that was released."""
    raise RuntimeError(f"{len(z)} latents for a baseline that is closed")
