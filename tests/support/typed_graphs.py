"""Small generators in several precisions, made by hand with the onnx helper API: what engines are built of in tests."""

import hashlib
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import onnx
from ganport_runtime.manifest import Role, Variant
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

LATENT, WIDTH, CHANNELS, START = 8, 8, 3, 4  # START: height and width of the first map
IMAGE = (16, 16, CHANNELS)

Form = Literal["deconv", "phase"]
Kind = Literal["fp32", "fp16", "s8s8", "u8s8"]


@dataclass(frozen=True)
class Source:
    """A finished graph, as an export has it."""

    variant: Variant
    data: bytes


@dataclass
class Net:
    """The nodes and constants of a graph while it is made."""

    kind: Kind
    random: np.random.Generator
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, NDArray[Any]] = field(default_factory=dict)

    def add(self, operator: str, inputs: list[str], **attributes: Any) -> str:
        name = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def constant(self, value: Any) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants[name] = np.asarray(value)
        return name

    def weight(self, *shape: int, channel: int) -> str:
        """A weight in the graph's precision; int8 ones behind a dequantization, scaled channel by channel."""
        value = self.random.normal(0, 0.2, shape).astype(np.float32)
        if self.kind == "fp32":
            return self.constant(value)
        if self.kind == "fp16":
            return self.constant(value.astype(np.float16))
        others = tuple(axis for axis in range(value.ndim) if axis != channel)
        scale = np.abs(value).max(axis=others, keepdims=True) / 127
        inputs = [np.round(value / scale).astype(np.int8), scale.ravel(), np.zeros(scale.size, np.int8)]
        return self.add("DequantizeLinear", [self.constant(item) for item in inputs], axis=channel)

    def activation(self, x: str) -> str:
        """An activation in the graph's precision: rounded to 8 bits and back where it is int8."""
        if self.kind in ("fp32", "fp16"):
            return x
        zero = np.int8(0) if self.kind == "s8s8" else np.uint8(128)
        ends = [self.constant(np.float32(0.03)), self.constant(zero)]
        return self.add("DequantizeLinear", [self.add("QuantizeLinear", [x, *ends]), *ends])


def source(form: Form, kind: Kind, *, role: Role = "generator", called: str | None = None, seed: int = 0) -> Source:
    """A generator's graph with its entry; `called` names another precision than it has."""
    data = graph(form, kind, seed=seed).SerializeToString()
    precision = called or {"s8s8": "int8", "u8s8": "int8"}.get(kind, kind)
    details = {"quantization": {"kind": kind}} if kind in ("s8s8", "u8s8") else {}
    name = f"{role}-{form}-{precision}" + (f"-{kind}" if details else "")
    digest = hashlib.sha256(data).hexdigest()
    return Source(Variant(name, role, f"{name}.onnx", digest, precision, form, details=details), data)


def graph(form: Form, kind: Kind, *, cast_last: bool = True, seed: int = 0) -> onnx.ModelProto:
    """A dense layer, two upsamplings by two, tanh, and the pixels' processing with its cast to uint8 last."""
    net = Net(kind, np.random.default_rng(seed))
    x = net.add("Cast", ["z"], to=TensorProto.FLOAT16) if kind == "fp16" else "z"
    x = net.add("Gemm", [net.activation(x), net.weight(LATENT, WIDTH * START**2, channel=1)])
    x = net.add("Relu", [net.add("Reshape", [x, net.constant([-1, WIDTH, START, START])])])
    x = net.add("Relu", [_upsampling(net, form, x, WIDTH)])
    x = _upsampling(net, form, x, CHANNELS)
    x = net.add("Cast", [x], to=TensorProto.FLOAT) if kind == "fp16" else x
    _pixels(net, net.add("Tanh", [x]), cast_last=cast_last)
    return _model(net)


def _upsampling(net: Net, form: Form, x: str, channels: int) -> str:
    x = net.activation(x)
    if form == "deconv":
        weight = net.weight(WIDTH, channels, 4, 4, channel=1)
        return net.add("ConvTranspose", [x, weight], strides=[2, 2], pads=[1, 1, 1, 1])
    phases = [
        net.add("Conv", [x, net.weight(channels, WIDTH, 2, 2, channel=0)], pads=[1 - row, 1 - column, row, column])
        for row in (0, 1)
        for column in (0, 1)
    ]
    return net.add("DepthToSpace", [net.add("Concat", phases, axis=1)], blocksize=2, mode="DCR")


def _pixels(net: Net, x: str, *, cast_last: bool) -> None:
    x = net.add("Mul", [net.add("Add", [x, net.constant(np.float32(1))]), net.constant(np.float32(127.5))])
    x = net.add("Clip", [net.add("Round", [x]), net.constant(np.float32(0)), net.constant(np.float32(255))])
    if cast_last:
        net.add("Cast", [net.add("Transpose", [x], perm=[0, 2, 3, 1])], to=TensorProto.UINT8)
    else:
        net.add("Transpose", [net.add("Cast", [x], to=TensorProto.UINT8)], perm=[0, 2, 3, 1])


def _model(net: Net) -> onnx.ModelProto:
    net.nodes[-1].output[0] = "image"
    model = helper.make_graph(
        net.nodes,
        "generator",
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["batch", LATENT])],
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", *IMAGE])],
        [numpy_helper.from_array(value, name) for name, value in net.constants.items()],
    )
    proto = helper.make_model(model, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(proto, full_check=True)
    return proto
