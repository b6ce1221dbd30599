"""Streams of gRPC: every request answered, in order; a wrong one is said to be wrong, and the stream goes on."""

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc as grpcio  # type: ignore[import-untyped]
import numpy as np
import pytest
import tritonclient.grpc as triton_grpc  # type: ignore[import-untyped]
from ganport_runtime import Generator
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc
from tritonclient.utils import InferenceServerException  # type: ignore[import-untyped]

from tests.serve.v2.conftest import Place
from tests.serve.v2.tensors import seeded, tensors

Answers = queue.SimpleQueue[Any]


@contextmanager
def stream(place: Place, **options: Any) -> Iterator[tuple[Any, Answers]]:
    """A client with an open stream, and the queue into which its answers and errors come."""
    answers: Answers = queue.SimpleQueue()
    with triton_grpc.InferenceServerClient(place.grpc) as client:
        client.start_stream(lambda result, error: answers.put(error or result), **options)
        yield client, answers


def test_answers_come_in_the_order_of_the_requests(place: Place, generator: Generator) -> None:
    with stream(place) as (client, answers):
        for index in range(150):
            count = 1 + index % 3
            client.async_stream_infer("generator", tensors(triton_grpc, seeded(index, count)), request_id=str(index))
        for index in range(150):
            result = answers.get(timeout=30)
            assert result.get_response().id == str(index)
            assert np.array_equal(result.as_numpy("image"), generator.sample(1 + index % 3, seed=index))


def test_a_wrong_request_does_not_end_the_stream(place: Place, generator: Generator) -> None:
    with stream(place) as (client, answers):
        for count in (1, 0, 2):
            client.async_stream_infer("generator", tensors(triton_grpc, seeded(5, count)))
        client.async_stream_infer("painter", tensors(triton_grpc, seeded(5)))
        client.async_stream_infer("generator", tensors(triton_grpc, seeded(5, 3)), enable_empty_final_response=True)
        found = [answers.get(timeout=30) for _ in range(5)]
    assert [isinstance(one, InferenceServerException) for one in found] == [False, True, False, True, False]
    assert found[1].message() == "inputs[1].data: count is 0, wanted 1 to 200 in one request"
    assert "there is no model 'painter'" in found[3].message()
    assert np.array_equal(found[4].as_numpy("image"), generator.sample(3, seed=5))
    assert found[4].get_response().parameters["triton_final_response"].bool_param


def test_a_refusal_says_which_request_it_belongs_to(place: Place) -> None:
    with grpcio.insecure_channel(place.grpc) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        requests = [pb.ModelInferRequest(model_name="painter", id=name) for name in ("first", "second")]
        found = list(stub.ModelStreamInfer(iter(requests), timeout=30))
    assert [one.infer_response.id for one in found] == ["first", "second"]
    assert all("painter" in one.error_message for one in found)


def test_an_empty_stream_ends_well(place: Place) -> None:
    with grpcio.insecure_channel(place.grpc) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        assert list(stub.ModelStreamInfer(iter([]), timeout=30)) == []


def test_the_deadline_of_a_stream_ends_it(place: Place) -> None:
    with stream(place, stream_timeout=0.2) as (_, answers):
        error = answers.get(timeout=30)
    assert error.status() == "StatusCode.DEADLINE_EXCEEDED"


@pytest.mark.parametrize("cut", [True, False])
def test_a_stream_that_is_given_up_leaves_the_server_well(
    place: Place, grpc: Any, generator: Generator, cut: bool
) -> None:
    with grpcio.insecure_channel(place.grpc) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        request = triton_request(seeded(1, 200))
        call = stub.ModelStreamInfer(iter([request] * 50))
        next(call)
        if cut:
            call.cancel()
    images = grpc.infer("generator", tensors(triton_grpc, seeded(8))).as_numpy("image")
    assert np.array_equal(images, generator.sample(1, seed=8))


def triton_request(arrays: dict[str, Any]) -> Any:
    names = {"seed": "UINT64", "count": "UINT32"}
    inputs = [pb.ModelInferRequest.InferInputTensor(name=name, datatype=names[name], shape=[1]) for name in arrays]
    raw = [array.tobytes() for array in arrays.values()]
    return pb.ModelInferRequest(model_name="generator", inputs=inputs, raw_input_contents=raw)
