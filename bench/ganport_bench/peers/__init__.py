"""What people would use instead of ganport, each in one file behind one protocol, ganport's own plans' too.

A new peer is one more line here, or one more file for a library that is not here yet.
"""

from ganport_bench.peers.compiled import Compiled
from ganport_bench.peers.eager import Eager
from ganport_bench.peers.onnxruntime import OnnxRuntime
from ganport_bench.peers.openvino import OpenVino
from ganport_bench.peers.protocol import Contender, Pixels, Session, Settings
from ganport_bench.peers.source import Source

__all__ = ["Contender", "Pixels", "Session", "Settings", "Source", "peers_of"]


def peers_of(source: Source) -> tuple[Contender, ...]:
    """Every peer, whether it can run here or not.

    PyTorch and ONNX Runtime compute in float32 unless told otherwise, OpenVINO in bfloat16 where the processor has it.
    """
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
