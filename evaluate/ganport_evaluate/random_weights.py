"""The control that shows what the architecture alone gives: the same discriminator graph with random weights."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from ganport_evaluate.dataset import FeaturesError

BATCH = 64


def with_random_weights(model: bytes, seed: int) -> bytes:
    """The ONNX model with the weights of every Conv and Gemm drawn from N(0, 2 / fan-in) and every bias 0.

    He et al. 2015. Up to the scale of each layer this is the network as it was before training, whatever deviation
    that one started from. A network starts with biases of 0 and with batch norm (folded into the convolutions here)
    that changes nothing. Without biases a convolution is linear, and LeakyReLU and max-pooling commute with positive
    factors: weights k times as large give activations exactly k times as large, and the standardization of each
    feature divides that out. Learned weights of another kind, which would stay trained, raise `FeaturesError`.
    """
    proto = onnx.load_model_from_string(model)
    tensors = {tensor.name: tensor for tensor in proto.graph.initializer}
    deviations = dict(_parameters(proto.graph, tensors))
    _check_all_found(proto.graph, tensors, deviations)
    random = np.random.default_rng(seed)
    for name, deviation in deviations.items():
        old = numpy_helper.to_array(tensors[name])
        drawn = random.standard_normal(old.shape) * deviation
        tensors[name].CopyFrom(numpy_helper.from_array(drawn.astype(old.dtype), name))
    return bytes(proto.SerializeToString())


def embed(model: bytes, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Output `features`, float32 [n, F], of a discriminator graph for `images`, uint8 [n, height, width, channels]."""
    import onnxruntime  # type: ignore[import-untyped]

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    batches = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
    return np.concatenate([session.run(["features"], {"image": batch})[0] for batch in batches])


def _parameters(graph: onnx.GraphProto, tensors: dict[str, onnx.TensorProto]) -> Iterator[tuple[str, float]]:
    """Each initializer of a Conv or Gemm with its deviation: 0 for a bias."""
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm"):
            weight, *bias = node.input[1:]
            if weight in tensors:
                yield weight, (2.0 / _fan_in(node, tensors[weight])) ** 0.5
            yield from ((name, 0.0) for name in bias if name in tensors)


def _fan_in(node: onnx.NodeProto, weight: onnx.TensorProto) -> int:
    if node.op_type == "Conv":  # [out, in / groups, height, width]
        return int(np.prod(weight.dims[1:]))
    transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
    return int(weight.dims[1] if transposed else weight.dims[0])


def _check_all_found(
    graph: onnx.GraphProto, tensors: dict[str, onnx.TensorProto], deviations: dict[str, float]
) -> None:
    """Constants of one number (the scale of pixels) are no weights; any other float tensor is one."""
    floats = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE, onnx.TensorProto.BFLOAT16}
    learned = {name for name, tensor in tensors.items() if tensor.data_type in floats and np.prod(tensor.dims) > 1}
    for node in graph.node:
        for name in node.input:
            if name in learned and name not in deviations:
                raise FeaturesError(
                    f"the control with random weights knows Conv and Gemm; this discriminator also has weights in "
                    f"{node.op_type} ({name}): export it with batch norm folded, as ganport export does"
                )
