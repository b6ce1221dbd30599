"""Bundles whose discriminator is built by hand: two strided convolutions, small enough to be checked in NumPy."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from ganport_runtime.manifest import (
    DiscriminatorInfo,
    FeaturesInfo,
    GeneratorInfo,
    ImageInfo,
    LatentInfo,
    Manifest,
    Variant,
)
from onnx import TensorProto, helper, numpy_helper

Weights = dict[str, npt.NDArray[np.float32]]

SIZE = 16
FEATURES = 16 * (4 + 8)


def draw_weights(channels: int = 1, seed: int = 5) -> Weights:
    random = np.random.default_rng(seed)
    shapes = {"w1": (4, channels, 4, 4), "b1": (4,), "w2": (8, 4, 4, 4), "b2": (8,), "w3": (1, 128), "b3": (1,)}
    return {name: random.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}


def discriminator_model(weights: Weights) -> onnx.ModelProto:
    channels = weights["w1"].shape[1]
    constants = {"half": np.float32(127.5), "one": np.float32(1), "axis": np.array([1])}
    initializers = [numpy_helper.from_array(np.asarray(a), name) for name, a in (weights | constants).items()]
    convolution: dict[str, Any] = {"strides": [2, 2], "pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["pixels", "half"], ["scaled"]),
        helper.make_node("Sub", ["scaled", "one"], ["centered"]),
        helper.make_node("Transpose", ["centered"], ["x"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], **convolution),
        helper.make_node("LeakyRelu", ["c1"], ["a1"], alpha=0.2),
        helper.make_node("Conv", ["a1", "w2", "b2"], ["c2"], **convolution),
        helper.make_node("LeakyRelu", ["c2"], ["a2"], alpha=0.2),
        helper.make_node("MaxPool", ["a1"], ["p1"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["p1"], ["f1"]),
        helper.make_node("Flatten", ["a2"], ["f2"]),
        helper.make_node("Concat", ["f1", "f2"], ["features"], axis=1),
        helper.make_node("Gemm", ["f2", "w3", "b3"], ["column"], transB=1),
        helper.make_node("Squeeze", ["column", "axis"], ["logit"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", SIZE, SIZE, channels])
    logit = helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["batch"])
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", FEATURES])
    return _model(helper.make_graph(nodes, "discriminator", [image], [logit, features], initializers))


def generator_model(channels: int) -> onnx.ModelProto:
    weight = np.random.default_rng(0).normal(128, 40, (3, SIZE * SIZE * channels)).astype(np.float32)
    shape = np.array([-1, SIZE, SIZE, channels])
    nodes = [
        helper.make_node("Gemm", ["z", "weight"], ["flat"]),
        helper.make_node("Clip", ["flat", "low", "high"], ["pixels"]),
        helper.make_node("Reshape", ["pixels", "shape"], ["reshaped"]),
        helper.make_node("Cast", ["reshaped"], ["image"], to=TensorProto.UINT8),
    ]
    arrays = {"weight": weight, "shape": shape, "low": np.float32(0), "high": np.float32(255)}
    initializers = [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()]
    z = helper.make_tensor_value_info("z", TensorProto.FLOAT, ["batch", 3])
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", SIZE, SIZE, channels])
    return _model(helper.make_graph(nodes, "generator", [z], [image], initializers))


def _model(graph: onnx.GraphProto) -> onnx.ModelProto:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model


def write_bundle(
    folder: Path, *, channels: int = 1, weights: Weights | None = None, discriminator: bool = True
) -> Path:
    models = {"generator": generator_model(channels)}
    if discriminator:
        models["discriminator"] = discriminator_model(weights or draw_weights(channels))
    folder.mkdir()
    variants = []
    for role, model in models.items():
        content = model.SerializeToString()
        (folder / f"{role}.onnx").write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        variants.append(Variant(f"{role}-fp32", role, f"{role}.onnx", digest, "fp32", "deconv"))  # type: ignore[arg-type]
    image = ImageInfo(SIZE, SIZE, channels)
    manifest = Manifest(
        name=folder.stem,
        created="2026-11-22T00:00:00Z",
        toolchain={"onnx": onnx.__version__},
        training={},
        generator=GeneratorInfo(LatentInfo(3), image),
        discriminator=DiscriminatorInfo(image, FeaturesInfo(FEATURES, "max 4x4")) if discriminator else None,
        variants=tuple(variants),
    )
    (folder / "manifest.json").write_text(json.dumps(manifest.to_json()))
    return folder
