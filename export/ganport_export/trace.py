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
from torch import Tensor, nn

from ganport_export.errors import ExportError, Observer, TraceError, first_sentence
from ganport_export.passes.fold_batch_norm import fold_batch_norm
from ganport_export.passes.name_plainly import name_plainly
from ganport_export.passes.simplify import simplify

BATCH = "batch"


@dataclass(frozen=True)
class TensorSpec:
    """One input or output; `sizes` are those of one image, the batch comes before them."""

    name: str
    dtype: DataType
    sizes: tuple[int, ...] = ()

    @property
    def shape(self) -> tuple[int | str, ...]:
        """All sizes, the batch by its name."""
        return (BATCH, *self.sizes)


@dataclass(frozen=True)
class Signature:
    """What goes into a graph and what comes out."""

    input: TensorSpec
    outputs: tuple[TensorSpec, ...]


def generator_signature(latent_dim: int, image: ImageInfo) -> Signature:
    """`z` -> `image`."""
    return Signature(
        TensorSpec("z", DataType.FLOAT, (latent_dim,)), (TensorSpec("image", DataType.UINT8, image.shape),)
    )


def discriminator_signature(image: ImageInfo, feature_dim: int) -> Signature:
    """`image` -> `logit`, `features`."""
    outputs = (TensorSpec("logit", DataType.FLOAT), TensorSpec("features", DataType.FLOAT, (feature_dim,)))
    return Signature(TensorSpec("image", DataType.UINT8, image.shape), outputs)


def declare(model: onnx_ir.Model, signature: Signature) -> None:
    """Check a model's inputs and outputs against a signature and name their dynamic size `batch`, in place.

    Raises:
        ExportError: another count, name, type, size, or a batch that is not dynamic.
    """
    _declare_all(model.graph.inputs, (signature.input,))
    _declare_all(model.graph.outputs, signature.outputs)


def _declare_all(values: Sequence[onnx_ir.Value], specs: Sequence[TensorSpec]) -> None:
    found, wanted = [value.name for value in values], [spec.name for spec in specs]
    if found != wanted:
        raise ExportError(f"the graph has {found} where {wanted} is wanted")
    for value, spec in zip(values, specs, strict=True):
        sizes = [] if value.shape is None else list(value.shape)
        fits = len(sizes) == len(spec.shape) and tuple(sizes[1:]) == spec.sizes and not isinstance(sizes[0], int)
        if value.dtype != spec.dtype or not fits:
            shown = (
                f"{value.dtype} [{', '.join(map(str, sizes))}], wanted {spec.dtype} [{', '.join(map(str, spec.shape))}]"
            )
            raise ExportError(f"the graph's {spec.name} is {shown}")
        value.shape = onnx_ir.Shape(spec.shape)


HALF_RANGE = 127.5  # half of 0..255


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


OPSET = 18


def trace(module: nn.Module, example: Tensor, signature: Signature) -> onnx_ir.Model:
    """The module's graph as the exporter makes it, nothing folded yet.

    Args:
        module: takes one tensor and returns a tensor or a tuple of them; in eval mode.
        example: its input for a batch of two or more: with one, the exporter takes the batch for a constant.
        signature: the names of its input and outputs.

    Raises:
        TraceError: the module fixes its batch size, decides by the values of tensors, or uses an operator that ONNX
            has no translation for.
    """
    with quiet_exporter(), torch.no_grad():
        program = _capture(module, example)
        try:
            exported = torch.onnx.export(
                program,
                input_names=[signature.input.name],
                output_names=[spec.name for spec in signature.outputs],
                opset_version=OPSET,
                optimize=False,  # its batch-norm fusion rounds to float32 at every step
                external_data=False,
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            raise TraceError(f"the network cannot be written as ONNX: {_explain(error)}") from error
    assert exported is not None  # None comes from the older exporter alone
    return exported.model


def _capture(module: nn.Module, example: Tensor) -> torch.export.ExportedProgram:
    shapes = ({0: torch.export.Dim(BATCH)},)
    try:
        return torch.export.export(module, (example,), dynamic_shapes=shapes, strict=False)
    except Exception as error:  # whatever the module's own code raises while it is traced
        if "Constraints violated" in str(error):  # the only constraint that was set is the free batch
            raise TraceError(
                f"the network fixes its batch size (traced with {len(example)} images): "
                "take it from the input, as in z.shape[0] or view(-1, ...)"
            ) from error
        raise TraceError(f"the network cannot be traced: {first_sentence(error)}") from error
    except SystemExit as error:
        raise TraceError(f"the network cannot be traced: it ends the program by sys.exit({error.code!r})") from error


def _explain(error: BaseException) -> str:
    cause = first_sentence(error)
    if "SymbolicTensor" in cause or "SymInt" in cause:  # a size stands where ONNX wants a fixed number
        return (
            "an operator's setting depends on the batch, as groups=len(z) of a convolution does; "
            f"scale activations instead of weights ({cause})"
        )
    return cause


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
    simplify(model)
    for line in fold_batch_norm(model):
        observer(line)
    simplify(model)
    _check_no_chance(model)
    declare(model, signature)
    name_plainly(model)
    return model


def _check_no_chance(model: onnx_ir.Model) -> None:
    """Refuse operators that draw numbers, however small their effect: `Dropout` is one where it is left at all."""
    for node in model.graph.all_nodes():
        if node.op_type in RANDOM or (node.op_type == "Dropout" and len(node.inputs) > 2):
            raise TraceError(
                f"the network draws random numbers ({node.op_type} in its graph), and an image must depend on its "
                "latent alone: fold the noise into the latent, or leave it out in eval mode"
            )
