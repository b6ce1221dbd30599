"""Messages of gRPC made by hand: what tritonclient itself would never send."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import grpc as grpcio  # type: ignore[import-untyped]
from tritonclient.grpc import service_pb2 as pb  # type: ignore[import-untyped]
from tritonclient.grpc import service_pb2_grpc
from tritonclient.utils import np_to_triton_dtype  # type: ignore[import-untyped]

from tests.serve.v2.tensors import Array


@contextmanager
def stub_of(address: str, **options: int) -> Iterator[Any]:
    """The published stub of the service; options are gRPC's, without their prefix."""
    named = [(f"grpc.{name}", value) for name, value in options.items()]
    with grpcio.insecure_channel(address, options=named) as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


def request_of(arrays: Mapping[str, Array], *outputs: str, model: str = "generator", **parameters: Any) -> Any:
    """A request with raw contents; parameters are whole numbers or words."""
    inputs = [tensor(name, np_to_triton_dtype(array.dtype), *array.shape) for name, array in arrays.items()]
    wanted = [pb.ModelInferRequest.InferRequestedOutputTensor(name=name) for name in outputs]
    raw = [array.tobytes() for array in arrays.values()]
    request = pb.ModelInferRequest(model_name=model, inputs=inputs, outputs=wanted, raw_input_contents=raw)
    for name, value in parameters.items():
        choice = {int: "int64_param", bool: "bool_param", str: "string_param"}[type(value)]
        setattr(request.parameters[name], choice, value)
    return request


def tensor(name: str, datatype: str, *shape: int, **contents: Any) -> Any:
    """An input, with typed contents where some are given."""
    made = pb.ModelInferRequest.InferInputTensor(name=name, datatype=datatype, shape=shape)
    if contents:
        made.contents.CopyFrom(pb.InferTensorContents(**contents))
    return made


def refusal(call: Callable[[], Any]) -> Any:
    """The error in which a call ends."""
    try:
        answer = call()
    except grpcio.RpcError as error:
        return error
    raise AssertionError(f"it was answered: {answer}")
