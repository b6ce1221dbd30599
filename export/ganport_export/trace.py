"""From a PyTorch module to a finished graph: wrapped in pixel processing, traced, folded, declared and tidied."""

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import onnx_ir
import torch
from ganport_runtime.manifest import ImageInfo
from ganport_train.networks import DcganDiscriminator
from onnx_ir import DataType
from onnx_ir.passes import Sequential, common
from onnxscript import optimizer, rewriter
from onnxscript.rewriter.rules import common as rules
from torch import Tensor, nn

from ganport_export.errors import ExportError, Observer, TraceError, first_sentence
from ganport_export.inputs import Feed, rows_of
from ganport_export.passes.fold_batch_norm import fold_batch_norm
from ganport_export.passes.graph_view import draws_numbers
from ganport_export.passes.name_plainly import name_plainly

BATCH = "batch"
EXAMPLES = 2  # images in the batch that is traced: with one, the exporter takes the batch for a constant
HALF_RANGE = 127.5  # half of 0..255
OPSET = 18


class GeneratorGraph(nn.Module):
    """Latents to finished pixels: rounded half to even, clipped, NHWC; the cast to uint8 last, as TensorRT wants it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, z: Tensor) -> Tensor:
        """Pixels uint8 [n, height, width, channels] of latents `z`, float32 [n, latent_dim]."""
        values = torch.round((self.network(z) + 1) * HALF_RANGE)
        return values.clamp(0, 255).permute(0, 2, 3, 1).to(torch.uint8)


class DiscriminatorGraph(nn.Module):
    """Pixels to logit and features; the cast from uint8 first, as TensorRT wants it."""

    def __init__(self, network: DcganDiscriminator) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Logits float32 [n] and features float32 [n, F] of pixels `image`, uint8 [n, height, width, channels]."""
        values = image.to(torch.float32) / HALF_RANGE - 1
        return self.network.logit_and_features(values.permute(0, 3, 1, 2))


@dataclass(frozen=True)
class GraphTensor:
    """One input or output of a graph; `sizes` are those of one image, the batch comes before them."""

    name: str
    dtype: DataType
    sizes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Signature:
    """What goes into a graph and what comes out: the same for every variant, and checked on each."""

    inputs: tuple[GraphTensor, ...]
    outputs: tuple[GraphTensor, ...]


def generator_signature(example: Feed, image: ImageInfo) -> Signature:
    """The inputs of an example -> `image`."""
    return Signature(_declared(example), (GraphTensor("image", DataType.UINT8, image.shape),))


def discriminator_signature(example: Feed, feature_dim: int) -> Signature:
    """`image` -> `logit`, `features`."""
    outputs = (GraphTensor("logit", DataType.FLOAT), GraphTensor("features", DataType.FLOAT, (feature_dim,)))
    return Signature(_declared(example), outputs)


def _declared(example: Feed) -> tuple[GraphTensor, ...]:
    return tuple(GraphTensor(name, DataType.from_numpy(a.dtype), a.shape[1:]) for name, a in example.items())


def build_graph(module: nn.Module, example: Feed, signature: Signature, observer: Observer) -> onnx_ir.Model:
    """The graph of `module`; the same network gives the same one, bit for bit."""
    with quiet_exporter(), torch.no_grad():
        model = _export(_capture(module, example), signature)
    simplify(model)
    for line in fold_batch_norm(model):
        observer(line)
    simplify(model)
    if (node := draws_numbers(model)) is not None:
        raise TraceError(
            f"the network draws random numbers ({node.op_type} in its graph), and an image must depend on its "
            "latent alone: fold the noise into the latent, or leave it out in eval mode"
        )
    _declare(model.graph.inputs, signature.inputs)
    _declare(model.graph.outputs, signature.outputs)
    name_plainly(model)
    return model


def _capture(module: nn.Module, example: Feed) -> torch.export.ExportedProgram:
    tensors = tuple(map(torch.from_numpy, example.values()))
    shapes = tuple({0: torch.export.Dim(BATCH)} for _ in tensors)
    try:
        return torch.export.export(module, tensors, dynamic_shapes=shapes, strict=False)
    except Exception as error:  # whatever the module's own code raises while it is traced
        if "Constraints violated" in str(error):  # the only constraint that was set is the free batch
            raise TraceError(
                f"the network fixes its batch size (traced with {rows_of(example)} images): "
                "take it from the input, as in z.shape[0] or view(-1, ...)"
            ) from error
        raise TraceError(f"the network cannot be traced: {first_sentence(error)}") from error
    except SystemExit as error:
        raise TraceError(f"the network cannot be traced: it ends the program by sys.exit({error.code!r})") from error


def _export(program: torch.export.ExportedProgram, signature: Signature) -> onnx_ir.Model:
    try:
        exported = torch.onnx.export(
            program,
            input_names=[tensor.name for tensor in signature.inputs],
            output_names=[tensor.name for tensor in signature.outputs],
            opset_version=OPSET,
            optimize=False,  # its batch-norm fusion rounds to float32 at every step
            external_data=False,
            verbose=False,
        )
    except torch.onnx.OnnxExporterError as error:
        raise TraceError(f"the network cannot be written as ONNX: {_explain(error)}") from error
    assert exported is not None  # None comes from the older exporter alone
    return exported.model


def _explain(error: BaseException) -> str:
    cause = first_sentence(error)
    if "SymbolicTensor" in cause or "SymInt" in cause:  # a size stands where ONNX wants a fixed number
        return (
            "an operator's setting depends on the batch, as groups=len(z) of a convolution does; "
            f"scale activations instead of weights ({cause})"
        )
    return cause


def _declare(values: Sequence[onnx_ir.Value], wanted: Sequence[GraphTensor]) -> None:
    """Check a graph's inputs or outputs against its signature, and name their dynamic size `batch`."""
    found, names = [value.name for value in values], [tensor.name for tensor in wanted]
    if found != names:
        raise ExportError(f"the graph has {found} where {names} is wanted")
    for value, tensor in zip(values, wanted, strict=True):
        shape: tuple[int | str, ...] = (BATCH, *tensor.sizes)
        sizes = [] if value.shape is None else list(value.shape)
        fits = len(sizes) == len(shape) and tuple(sizes[1:]) == tensor.sizes and not isinstance(sizes[0], int)
        if value.dtype != tensor.dtype or not fits:
            shown = f"{value.dtype} [{', '.join(map(str, sizes))}]"
            raise ExportError(
                f"the graph's {tensor.name} is {shown}, wanted {tensor.dtype} [{', '.join(map(str, shape))}]"
            )
        value.shape = onnx_ir.Shape(shape)


def _is_news(record: logging.LogRecord) -> bool:
    """False for log lines that say what everyone knows, or what the error that follows them says too."""
    return not str(record.msg).startswith(("torchvision is not installed", "Unable to find user code corresponding to"))


@contextlib.contextmanager
def quiet_exporter() -> Iterator[None]:
    """Keep known chatter of PyTorch's exporter off the terminal; every other warning and log line passes."""
    loggers = [
        logging.getLogger(name)
        for name in ("torch.onnx._internal.exporter._registration", "torch.fx.experimental.symbolic_shapes")
    ]
    for logger in loggers:
        logger.addFilter(_is_news)
    try:
        with warnings.catch_warnings():
            # PyTorch 2.13 copies its own deprecated LeafSpec objects
            warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
            yield
    finally:
        for logger in loggers:
            logger.removeFilter(_is_news)


FOLD_UP_TO = 2**28  # elements: computed weights (weight norm, equalized learning rates) are constants too

# onnxscript's default rules without its batch-norm fusion, which rounds to float32 at every step of the fold.
RULES = (
    rules.materialize_reshape_shape_rule, rules.add_0_rule, rules.sub_0_rule, rules.mul_by_1_rule,
    rules.div_by_1_rule, rules.dropout_inference_rule, rules.dropout_zero_rule, rules.no_op_cast_rule,
    rules.no_op_expand_rule, rules.no_op_transpose_rule, rules.transpose_transpose_rule, rules.reshape_reshape_rule,
    rules.unsqueeze_unsqueeze_rule, rules.max_max_rule, rules.min_min_rule, rules.max_min_rule, rules.min_max_rule,
    rules.successive_clip_rule, rules.normalize_pad_format_conv_rule, rules.fuse_pad_into_conv_rule,
)  # fmt: skip
ROUNDS = 3  # a rule may make room for another one; two rounds settle every network seen so far


def simplify(model: onnx_ir.Model) -> None:
    """Fold constants, drop no-ops and unused nodes, merge equal ones, in place. Comes first, on a traced graph."""
    common.InlinePass()(model)
    for _ in range(ROUNDS):
        optimizer.fold_constants(model, input_size_limit=FOLD_UP_TO, output_size_limit=FOLD_UP_TO)
        rewriter.rewrite(model, RULES)
    _TIDY(model)


_TIDY = Sequential(
    common.IdentityEliminationPass(),
    common.RemoveUnusedNodesPass(),
    common.RemoveUnusedOpsetsPass(),
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
    common.DeduplicateInitializersPass(),
    common.CommonSubexpressionEliminationPass(),
    common.RemoveUnusedNodesPass(),
    common.TopologicalSortPass(),
)
