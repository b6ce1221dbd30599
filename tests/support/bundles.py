"""Makes small bundles by hand with the onnx helper API: no PyTorch, and expected values that numpy can compute."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from ganport_runtime.manifest import (
    DiscriminatorInfo,
    FeaturesInfo,
    GeneratorInfo,
    ImageInfo,
    LatentInfo,
    Manifest,
    Role,
    Variant,
)
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 18
IR_VERSION = 10
SOME_GRAPH = Variant("some-graph", "generator", "graph.onnx", "0" * 64, "fp32", "deconv")  # for graphs in no bundle


@dataclass(frozen=True)
class Weights:
    """The weights of a dense generator and discriminator, from which tests compute what a bundle must give."""

    generator: NDArray[np.float32]  # [latent_dim, height * width * channels]
    features: NDArray[np.float32]  # [height * width * channels, F]
    logit: NDArray[np.float32]  # [F, 1]
    image: tuple[int, int, int]

    def images(self, z: NDArray[np.float32]) -> NDArray[np.float64]:
        """Pixels before rounding, [n, height, width, channels] in 0..255."""
        height, width, channels = self.image
        x = np.tanh(z.astype(np.float64) @ self.generator.astype(np.float64))
        planes = ((x + 1) * 127.5).reshape(-1, channels, height, width)
        return planes.transpose(0, 2, 3, 1)

    def embed(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Features, [n, F]."""
        x = images.astype(np.float64).reshape(len(images), self.features.shape[0]) / 127.5 - 1
        return np.maximum(x @ self.features, 0)

    def score(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Logits, [n]."""
        return (self.embed(images) @ self.logit)[:, 0]


def make_weights(
    *, latent_dim: int = 12, image: tuple[int, int, int] = (16, 16, 3), features: int = 10, seed: int = 0
) -> Weights:
    rng = np.random.default_rng(seed)
    size = int(np.prod(image))

    def draw(*shape: int) -> NDArray[np.float32]:
        return rng.standard_normal(shape, np.float32) / np.float32(np.sqrt(shape[0]))

    return Weights(draw(latent_dim, size), draw(size, features), draw(features, 1), image)


def generator_graph(weights: Weights) -> onnx.ModelProto:
    height, width, channels = weights.image
    constants = {
        "w": weights.generator,
        "one": np.float32(1),
        "scale": np.float32(127.5),
        "low": np.float32(0),
        "high": np.float32(255),
        "planes": np.array([-1, channels, height, width]),
    }
    nodes = [
        helper.make_node("MatMul", ["z", "w"], ["h"]),
        helper.make_node("Tanh", ["h"], ["t"]),
        helper.make_node("Add", ["t", "one"], ["a"]),
        helper.make_node("Mul", ["a", "scale"], ["s"]),
        helper.make_node("Round", ["s"], ["r"]),
        helper.make_node("Clip", ["r", "low", "high"], ["c"]),
        helper.make_node("Reshape", ["c", "planes"], ["p"]),
        helper.make_node("Transpose", ["p"], ["n"], perm=[0, 2, 3, 1]),
        helper.make_node("Cast", ["n"], ["image"], to=TensorProto.UINT8),
    ]
    z = helper.make_tensor_value_info("z", TensorProto.FLOAT, ["batch", weights.generator.shape[0]])
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", height, width, channels])
    return _model("generator", nodes, [z], [image], constants)


def int8_generator_graph(weights: Weights) -> onnx.ModelProto:
    """The generator with explicit Q/DQ: `z` in 8 bits from -4 to 4, the weights in 8 bits by column."""
    model = generator_graph(weights)
    scales = np.abs(weights.generator).max(axis=0) / 127
    constants = {
        "w.q": np.round(weights.generator / scales).astype(np.int8),
        "w.scale": scales.astype(np.float32),
        "w.zero": np.zeros(len(scales), np.int8),
        "z.scale": np.float32(8 / 255),
        "z.zero": np.uint8(128),
    }
    pairs = [
        helper.make_node("QuantizeLinear", ["z", "z.scale", "z.zero"], ["z.q"]),
        helper.make_node("DequantizeLinear", ["z.q", "z.scale", "z.zero"], ["z.d"]),
        helper.make_node("DequantizeLinear", ["w.q", "w.scale", "w.zero"], ["w"], axis=1),
    ]
    matmul, *rest = model.graph.node
    matmul.input[0] = "z.d"
    kept = [item for item in model.graph.initializer if item.name != "w"]
    quantized = [numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()]
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend([*pairs, matmul, *rest])
    model.graph.initializer.extend([*kept, *quantized])
    onnx.checker.check_model(model, full_check=True)
    return model


def discriminator_graph(weights: Weights) -> onnx.ModelProto:
    size, features = weights.features.shape
    constants = {
        "flat": np.array([-1, size]),
        "scale": np.float32(1 / 127.5),
        "one": np.float32(1),
        "w": weights.features,
        "v": weights.logit,
        "last": np.array([1]),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["f", "flat"], ["g"]),
        helper.make_node("Mul", ["g", "scale"], ["m"]),
        helper.make_node("Sub", ["m", "one"], ["x"]),
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("Relu", ["h"], ["features"]),
        helper.make_node("MatMul", ["features", "v"], ["l"]),
        helper.make_node("Squeeze", ["l", "last"], ["logit"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", *weights.image])
    logit = helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["batch"])
    vectors = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", features])
    return _model("discriminator", nodes, [image], [logit, vectors], constants)


def make_manifest(weights: Weights, variants: list[Variant], *, discriminator: bool = True) -> Manifest:
    image = ImageInfo(*weights.image)
    info = DiscriminatorInfo(image, FeaturesInfo(weights.features.shape[1], "none"))
    return Manifest(
        name="tiny",
        created="2026-11-22T12:00:00+00:00",
        toolchain={"onnx": onnx.__version__},
        training={"steps": 0},
        generator=GeneratorInfo(LatentInfo(weights.generator.shape[0]), image),
        discriminator=info if discriminator else None,
        variants=tuple(variants),
    )


def make_bundle(path: Path, weights: Weights, *, discriminator: bool = True) -> Path:
    """Write a bundle of fp32 graphs into a new directory."""
    path.mkdir(parents=True)
    variants = [write_variant(path, "generator", generator_graph(weights))]
    if discriminator:
        variants.append(write_variant(path, "discriminator", discriminator_graph(weights)))
    write_manifest(path, make_manifest(weights, variants, discriminator=discriminator).to_json())
    return path


def make_variety(path: Path, weights: Weights, *, fidelity: dict[str, Any] | None = None) -> Path:
    """Write a bundle whose generator comes in two forms of fp32, and in real int8."""
    path.mkdir(parents=True)
    variants = [write_variant(path, "generator", generator_graph(weights), form=form) for form in ("deconv", "phase")]
    int8 = write_variant(path, "generator", int8_generator_graph(weights), precision="int8", form="phase")
    variants.append(dataclasses.replace(int8, fidelity=fidelity or {}))
    write_manifest(path, make_manifest(weights, variants, discriminator=False).to_json())
    return path


def add_probe(path: Path, weights: Weights, *, images: int = 3, **replaced: Any) -> Path:
    """Give a bundle a probe of the right pixels and logits; named arrays take the place of the right ones."""
    z = np.random.default_rng(1).standard_normal((images, weights.generator.shape[0]), np.float32)
    pixels = np.clip(np.round(weights.images(z)), 0, 255).astype(np.uint8)
    arrays: dict[str, Any] = {"z": z, "image": pixels, "logit": weights.score(pixels).astype(np.float32)} | replaced
    np.savez(path / "probe.npz", **{name: array for name, array in arrays.items() if array is not None})
    document = read_manifest(path)
    digest = hashlib.sha256((path / "probe.npz").read_bytes()).hexdigest()
    document["probe"] = {"file": "probe.npz", "sha256": digest, "images": images}
    write_manifest(path, document)
    return path


def write_variant(
    path: Path, role: Role, model: onnx.ModelProto, *, precision: str = "fp32", form: str = "deconv"
) -> Variant:
    """Write a graph and return its manifest entry."""
    data = model.SerializeToString()
    name = f"{role}-{form}-{precision}"
    (path / f"{name}.onnx").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    return Variant(name, role, f"{name}.onnx", digest, precision, form, {"psnr": 99.0})


def write_manifest(path: Path, document: Any) -> None:
    (path / "manifest.json").write_text(json.dumps(document), encoding="utf-8")


def read_manifest(path: Path) -> Any:
    return json.loads((path / "manifest.json").read_text(encoding="utf-8"))


def _model(
    name: str,
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    constants: dict[str, Any],
) -> onnx.ModelProto:
    initializers = [numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()]
    graph = helper.make_graph(nodes, name, inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    return model
