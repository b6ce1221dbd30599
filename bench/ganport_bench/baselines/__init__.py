"""Baselines: what people would use instead of ganport, one file a library, behind the protocol that plans follow too.

A new baseline is one more line in `baselines_of`, or one more file for a library that is not here yet. The libraries are
imported when the list is made.
"""

import os
from collections.abc import Mapping
from typing import Literal, Protocol

from ganport_bench.subject import Latents, Pixels, Source

Kind = Literal["peer", "plan"]
Settings = Mapping[str, str]

# What of copies a call's time includes, by the device that computes. Everyone is timed from latents in the computer's
# memory to images there.
TRANSFERS = {
    "cpu": "none: computed in the computer's memory",
    "cuda": "included: latents to the GPU, images back, waited for",
}


class ImageSession(Protocol):
    """A system that is ready to run.

    Attributes:
        precision: what it computes with: `fp32`, `tf32`, `bf16`, `fp16`, `int8`.
        transfers: what of copies to a device and back a run includes; one of `TRANSFERS`.
        note: what else there is to say of it, or empty.
    """

    precision: str
    transfers: str
    note: str

    def run(self, z: Latents) -> Pixels:
        """Finished images of latents.

        Args:
            z: float32 [batch, latent_dim], of the batch size that the session was opened for.

        Returns:
            uint8 [batch, height, width, channels] in the computer's memory, C-contiguous, the caller's to keep.
        """

    def close(self) -> None:
        """Release the library's memory and threads."""


class SystemUnderTest(Protocol):
    """One way to make a network's images.

    Attributes:
        name: what people call it; no two share one.
        kind: `peer` for a baseline, `plan` for ganport's own.
    """

    name: str
    kind: Kind

    def refusal(self) -> str | None:
        """Why it cannot run on this machine, or None; opens nothing."""

    def settings(self, batch: int) -> tuple[Settings, ...]:
        """The settings worth trying at a batch size, the library's own defaults first."""

    def open(self, settings: Settings, batch: int) -> ImageSession:
        """Get ready to run `batch` images at a time; whatever this raises means that it cannot run here."""


def thread_choices() -> tuple[int, ...]:
    """All cores that this process may use, then half of them, then one: keeping in step costs small batches."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return tuple(sorted({cores, max(1, cores // 2), 1}, reverse=True))


def baselines_of(source: Source) -> tuple[SystemUnderTest, ...]:
    """Every baseline, whether it can run here or not: those of the CPU, then those of a GPU.

    On a CPU, PyTorch and ONNX Runtime compute in float32 unless told otherwise, OpenVINO in bfloat16 where the CPU has
    it. On a GPU, libraries take TF32 for float32 in part or whole unless told otherwise: each is here with and without.
    """
    from ganport_bench.baselines.onnxruntime import OnnxRuntimeBaseline, OnnxRuntimeCudaBaseline
    from ganport_bench.baselines.openvino import OpenVinoBaseline
    from ganport_bench.baselines.pytorch import CompiledPyTorch, EagerPyTorch
    from ganport_bench.baselines.pytorch_cuda import CompiledOnCuda, EagerOnCuda, RecordedOnCuda

    both = ("contiguous", "channels_last")
    return (
        EagerPyTorch(source, "PyTorch, eager", "fp32", ("contiguous",)),
        EagerPyTorch(source, "PyTorch, channels-last", "fp32", ("channels_last",)),
        EagerPyTorch(source, "PyTorch, bf16 autocast", "bf16", both),
        CompiledPyTorch(source, precision="fp32"),
        CompiledPyTorch(source, precision="bf16"),
        OnnxRuntimeBaseline(source),
        OpenVinoBaseline(source, precision="fp32"),
        OpenVinoBaseline(source, precision="bf16"),
        EagerOnCuda(source, "PyTorch on CUDA, eager", "fp32", ("contiguous",)),
        EagerOnCuda(source, "PyTorch on CUDA, channels-last", "fp32", ("channels_last",)),
        EagerOnCuda(source, "PyTorch on CUDA, TF32", "tf32", both),
        EagerOnCuda(source, "PyTorch on CUDA, fp16 autocast", "fp16", both),
        EagerOnCuda(source, "PyTorch on CUDA, bf16 autocast", "bf16", both),
        *(CompiledOnCuda(source, precision=precision) for precision in ("fp32", "tf32", "fp16")),
        *(RecordedOnCuda(source, precision=precision) for precision in ("fp32", "tf32", "fp16")),
        *(
            OnnxRuntimeCudaBaseline(source, precision=precision, binding=binding)
            for precision in ("fp32", "tf32")
            for binding in (False, True)
        ),
    )
