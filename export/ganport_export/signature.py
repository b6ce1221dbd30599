"""Names, types and sizes of a graph's inputs and outputs: the same for every variant, and checked on each."""

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir
from ganport_runtime.manifest import ImageInfo
from onnx_ir import DataType

from ganport_export.errors import ExportError

__all__ = ["BATCH", "Signature", "TensorSpec", "declare", "discriminator_signature", "generator_signature"]

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
