"""From a PyTorch module to a finished graph, traced, folded and tidied; and from a graph to the bytes of its file."""

import onnx
import onnx_ir
from torch import Tensor, nn

from ganport_export import passes
from ganport_export.errors import ExportError, TraceError
from ganport_export.observer import Observer
from ganport_export.signature import Signature, declare
from ganport_export.trace import trace

__all__ = ["EXAMPLES", "build_graph", "to_file"]

EXAMPLES = 2  # images in the batch that is traced

RANDOM = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}
)


def build_graph(module: nn.Module, example: Tensor, signature: Signature, observer: Observer) -> onnx_ir.Model:
    """The graph of `module`; the same network gives the same one, bit for bit.

    Args:
        module: a network with its pixel processing around it, float32, in eval mode.
        example: its input for `EXAMPLES` images.
        signature: what it must declare.
        observer: told of every batch norm that could not be folded.

    Raises:
        TraceError: PyTorch cannot write the module as ONNX, or it draws random numbers.
        ExportError: the graph does not have the signature.
    """
    model = trace(module, example, signature)
    passes.simplify(model)
    for line in passes.fold_batch_norm(model):
        observer(line)
    passes.simplify(model)
    _check_no_chance(model)
    declare(model, signature)
    passes.name_plainly(model)
    return model


def to_file(model: onnx_ir.Model) -> bytes:
    """The bytes of the ONNX file of a graph, weights inside.

    Raises:
        ExportError: ONNX's own checker refuses it, or it is larger than one file can be.
    """
    proto = onnx_ir.serde.serialize_model(model)
    try:
        onnx.checker.check_model(proto, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError) as error:
        # a ValueError is ONNX's word on more than the 2 GiB that one file can hold
        raise ExportError(f"the exported graph is not valid ONNX: {error}") from error
    data: bytes = proto.SerializeToString(deterministic=True)
    return data


def _check_no_chance(model: onnx_ir.Model) -> None:
    """Refuse operators that draw numbers, however small their effect: `Dropout` is one where it is left at all."""
    for node in model.graph.all_nodes():
        if node.op_type in RANDOM or (node.op_type == "Dropout" and len(node.inputs) > 2):
            raise TraceError(
                f"the network draws random numbers ({node.op_type} in its graph), and an image must depend on its "
                "latent alone: fold the noise into the latent, or leave it out in eval mode"
            )
