"""Products of two matrices, one function a library; each is checked once against NumPy before it is timed."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from ganport_runtime.backends.openvino_import import import_openvino, openvino_core

from ganport_bench.ceilings.int8_product import INPUT, Shape, int8_product
from ganport_bench.errors import BenchError

__all__ = [
    "Product",
    "by_numpy",
    "by_onnxruntime",
    "by_openvino",
    "by_openvino_float",
    "by_pytorch",
    "check",
    "factors",
]

Product = Callable[[], object]
LARGEST = 8  # of the random integers: their products stay exact in bfloat16's sums and within int8's scale


def by_numpy(shape: Shape) -> Product:
    """float32 by NumPy's BLAS, on as many threads as it takes."""
    left, right = factors(shape)
    out = np.empty((len(left), right.shape[1]), np.float32)
    return lambda: np.matmul(left, right, out=out)


def by_pytorch(shape: Shape, *, dtype: str) -> Product:
    """float32 or bfloat16 by PyTorch, all cores."""
    import torch

    from ganport_bench.peers.threads import thread_choices

    threads = thread_choices()[0]
    left, right = (torch.from_numpy(factor).to(getattr(torch, dtype)) for factor in factors(shape))
    out = torch.empty(len(left), right.shape[1], dtype=left.dtype)

    def multiply() -> None:
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        torch.mm(left, right, out=out)

    multiply()
    check(f"PyTorch {dtype}", out.to(torch.float32).numpy(), factors(shape), relative=2**-7)
    return multiply


def by_onnxruntime(shape: Shape, *, left: str) -> Product:
    """int8 by ONNX Runtime's CPU provider."""
    import onnxruntime  # type: ignore[import-untyped]

    model, factor, wanted = int8_product(shape, left)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    _compare("ONNX Runtime int8", session.run(None, {INPUT: factor})[0], wanted)
    return lambda: session.run(None, {INPUT: factor})


def by_openvino(shape: Shape, *, left: str) -> Product:
    """int8 by OpenVINO's CPU plugin."""
    model, factor, wanted = int8_product(shape, left)
    request = _request(openvino_core().read_model(model), factor)
    _compare("OpenVINO int8", request.get_output_tensor(0).data, wanted)
    return lambda: request.infer()


def by_openvino_float(shape: Shape, *, hint: str) -> Product:
    """float32 (`f32`) or bfloat16 (`bf16`) by OpenVINO's CPU plugin."""
    openvino = import_openvino()
    operators = openvino.opset13
    left, right = factors(shape)
    parameter = operators.parameter(list(left.shape), np.float32)
    product = operators.matmul(parameter, operators.constant(right), False, False)
    request = _request(openvino.Model([product], [parameter]), left, INFERENCE_PRECISION_HINT=hint)
    check(f"OpenVINO {hint}", request.get_output_tensor(0).data, (left, right), relative=2**-7)
    return lambda: request.infer()


def _request(model: Any, left: npt.NDArray[Any], **options: str) -> Any:
    """A request whose left factor is in place and which has run once."""
    compiled = openvino_core().compile_model(model, "CPU", {"PERFORMANCE_HINT": "LATENCY", **options})
    hint = options.get("INFERENCE_PRECISION_HINT")
    used = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    if hint not in (None, used):
        raise BenchError(f"OpenVINO computes in {used} where {hint} was asked for")
    request = compiled.create_infer_request()
    request.get_input_tensor(0).data[:] = left
    request.infer()
    return request


def factors(shape: Shape) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Two matrices of small whole numbers, always the same, float32 [rows, depth] and [depth, columns]."""
    random = np.random.default_rng(0)
    rows, depth, columns = shape
    left, right = (random.integers(-LARGEST, LARGEST + 1, one) for one in ((rows, depth), (depth, columns)))
    return left.astype(np.float32), right.astype(np.float32)


def check(what: str, found: npt.NDArray[np.float32], of: tuple[Any, Any], relative: float) -> None:
    """See that a product is that of two factors.

    Raises:
        BenchError: it is off by more than `relative` of its largest value.
    """
    wanted = np.matmul(*of)
    error = float(np.abs(found - wanted).max() / np.abs(wanted).max())
    if error > relative:
        raise BenchError(f"{what} is off by {error:.1g} of the largest value: no product to count")


def _compare(what: str, found: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> None:
    largest = int(np.abs(found.astype(np.int32) - wanted).max())
    if largest > 1:  # rounding between two integers may go either way
        raise BenchError(f"{what} is off by {largest} of 255: no product to count")
