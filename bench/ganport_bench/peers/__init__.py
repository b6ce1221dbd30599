"""What people would use instead of ganport, each in one file behind one protocol, ganport's own plans' too.

A new peer is one more line here, or one more file for a library that is not here yet.
"""

from ganport_bench.peers.compiled import Compiled
from ganport_bench.peers.compiled_cuda import CompiledCuda
from ganport_bench.peers.eager import Eager
from ganport_bench.peers.eager_cuda import EagerCuda
from ganport_bench.peers.graph_cuda import GraphCuda
from ganport_bench.peers.onnxruntime import OnnxRuntime
from ganport_bench.peers.onnxruntime_cuda import OnnxRuntimeCuda
from ganport_bench.peers.openvino import OpenVino
from ganport_bench.peers.protocol import TRANSFERS, Contender, Pixels, Session, Settings
from ganport_bench.peers.pytorch import Layout
from ganport_bench.peers.source import Source

__all__ = ["TRANSFERS", "Contender", "Pixels", "Session", "Settings", "Source", "peers_of"]


def peers_of(source: Source) -> tuple[Contender, ...]:
    """Every peer, whether it can run here or not: those of the CPU, then those of a GPU."""
    return (*_on_cpu(source), *_on_gpu(source))


def _on_cpu(source: Source) -> tuple[Contender, ...]:
    """PyTorch and ONNX Runtime compute in float32 unless told otherwise, OpenVINO in bfloat16 where the CPU has it."""
    return (
        Eager(source, "PyTorch, eager", "fp32", ("contiguous",)),
        Eager(source, "PyTorch, channels-last", "fp32", ("channels_last",)),
        Eager(source, "PyTorch, bf16 autocast", "bf16", ("contiguous", "channels_last")),
        Compiled(source, precision="fp32"),
        Compiled(source, precision="bf16"),
        OnnxRuntime(source),
        OpenVino(source, precision="fp32"),
        OpenVino(source, precision="bf16"),
    )


def _on_gpu(source: Source) -> tuple[Contender, ...]:
    """Libraries take TF32 for float32 in part or whole unless told otherwise: each is here with it and without."""
    both_layouts: tuple[Layout, ...] = ("contiguous", "channels_last")
    return (
        EagerCuda(source, "PyTorch on CUDA, eager", "fp32", ("contiguous",)),
        EagerCuda(source, "PyTorch on CUDA, channels-last", "fp32", ("channels_last",)),
        EagerCuda(source, "PyTorch on CUDA, TF32", "tf32", both_layouts),
        EagerCuda(source, "PyTorch on CUDA, fp16 autocast", "fp16", both_layouts),
        EagerCuda(source, "PyTorch on CUDA, bf16 autocast", "bf16", both_layouts),
        *(CompiledCuda(source, precision=precision) for precision in ("fp32", "tf32", "fp16")),
        *(GraphCuda(source, precision=precision) for precision in ("fp32", "tf32", "fp16")),
        *(
            OnnxRuntimeCuda(source, precision=precision, binding=binding)
            for precision in ("fp32", "tf32")
            for binding in (False, True)
        ),
    )
