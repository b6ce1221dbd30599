"""Where the pairs of QuantizeLinear and DequantizeLinear go, and of which type: one recipe for each kind of int8."""

from collections.abc import Mapping
from dataclasses import dataclass

from onnx_ir import DataType

from ganport_export.quantize.ranges import Codes

__all__ = ["KINDS", "MOVES", "RECIPES", "Recipe"]

# Operators that move values or leave them out, and compute nothing: what goes in and what comes out share one scale.
MOVES = frozenset(
    {"Concat", "DepthToSpace", "Flatten", "Identity", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"}
)
UNSIGNED, SIGNED = Codes(0, 255, symmetric=False), Codes(-128, 127, symmetric=True)


@dataclass(frozen=True)
class Recipe:
    """One kind of int8. What a layer in int8 reads always gets a pair.

    Args:
        kind: `u8s8` or `s8s8`: the types of activations and weights.
        dtype: of activations: uint8 with a zero point of its own, or int8 around 0.
        layers: operators with constant weights that are to run in int8.
        around: operators that get pairs around them, where they are such layers or go on with what those made.
    """

    kind: str
    dtype: DataType
    layers: frozenset[str]
    around: frozenset[str]

    @property
    def codes(self) -> Codes:
        """The integers that activations become."""
        return UNSIGNED if self.dtype == DataType.UINT8 else SIGNED


RECIPES: Mapping[str, Recipe] = {
    recipe.kind: recipe
    for recipe in (
        # For CPUs, where signed activations run half as fast or slower, and transposed convolutions in float alone.
        # ONNX Runtime is twice as fast with pairs on both sides of an activation and a Concat as with one in front of
        # each layer; to OpenVINO it is all the same.
        Recipe(
            kind="u8s8",
            dtype=DataType.UINT8,
            layers=frozenset({"Conv", "Gemm"}),
            around=frozenset({"Relu", "LeakyRelu", "Concat"}),
        ),
        # For TensorRT, which knows no other zero point than 0 and interleaves in int8 between two pairs alone.
        Recipe(
            kind="s8s8",
            dtype=DataType.INT8,
            layers=frozenset({"Conv", "ConvTranspose", "Gemm"}),
            around=frozenset({"Conv", "ConvTranspose", "Gemm", "Relu", "LeakyRelu", "Concat", "DepthToSpace"}),
        ),
    )
}
KINDS = tuple(RECIPES)
