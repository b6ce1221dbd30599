"""Baselines: what people would use instead of ganport, one file a library.

A new library is one more file with a function `baselines(source)`, and one line in `baselines_of`.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Literal, Protocol

from ganport_bench.subject import BaselineSource, Latents, Pixels

LIBRARIES = ("pytorch", "onnxruntime", "openvino", "pytorch_cuda", "onnxruntime_cuda")

Kind = Literal["peer", "plan"]
Settings = Mapping[str, str]

# What of copies a call's time includes, by the device that computes. Everyone is timed from latents in the computer's
# memory to images there.
TRANSFERS = {
    "cpu": "none: computed in the computer's memory",
    "cuda": "included: latents to the GPU, images back, waited for",
}


class ImageSession(Protocol):
    """A system that is ready to run."""

    precision: str  # what it computes with: `fp32`, `tf32`, `bf16`, `fp16`, `int8`
    transfers: str  # what of copies to a device and back a run includes; one of `TRANSFERS`
    note: str  # what else there is to say of it, or empty

    def run(self, z: Latents) -> Pixels:
        """Finished images of latents.

        `z`: float32 [batch, latent_dim], of the batch size that the session was opened for. Returns uint8 [batch,
        height, width, channels] in the computer's memory, C-contiguous, the caller's to keep.
        """

    def close(self) -> None:
        """Release the library's memory and threads."""


@dataclass(frozen=True)
class SystemUnderTest:
    """One way to make a network's images."""

    name: str  # what people call it; no two share one
    refusal: Callable[[], str | None]  # why it cannot run on this machine, or None; opens nothing
    settings: Callable[[int], tuple[Settings, ...]]  # worth trying at a batch size, the library's own defaults first
    # gets ready to run so many images at a time; whatever it raises means that it cannot run here.
    open: Callable[[Settings, int], ImageSession]
    kind: Kind = "peer"  # `peer` for a baseline, `plan` for ganport's own


def baselines_of(source: BaselineSource) -> tuple[SystemUnderTest, ...]:
    """Every baseline, whether it can run here or not: those of the CPU, then those of a GPU.

    On a CPU, PyTorch and ONNX Runtime compute in float32 unless told otherwise, OpenVINO in bfloat16 where the CPU has
    it. On a GPU, libraries take TF32 for float32 in part or whole unless told otherwise: each is here with and without.
    """
    modules = [import_module(f"{__name__}.{library}") for library in LIBRARIES]
    return tuple(baseline for module in modules for baseline in module.baselines(source))


def thread_choices() -> tuple[int, ...]:
    """All cores that this process may use, then half of them, then one: keeping in step costs small batches."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return tuple(sorted({cores, max(1, cores // 2), 1}, reverse=True))
