"""What gRPC refuses: by which code, in which words; and that other clients do not notice."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc as grpcio  # type: ignore[import-untyped]
import numpy as np
import pytest
import tritonclient.grpc as triton_grpc  # type: ignore[import-untyped]
from ganport_runtime import Generator
from ganport_serve.refusals import ProblemError
from ganport_serve.v2.messages import LONGEST_NUMBERS, check_parts
from tritonclient.grpc import service_pb2 as pb
from tritonclient.utils import InferenceServerException  # type: ignore[import-untyped]

from tests.serve.v2.conftest import MAX_BODY, Place
from tests.serve.v2.messages import refusal, request_of, stub_of, tensor
from tests.serve.v2.tensors import LATENT_DIM, Array, latents, seeded, tensors
from tests.support.serving import Here, serving_here

Code = grpcio.StatusCode
NAN = np.full((1, LATENT_DIM), np.nan, np.float32)


@pytest.fixture(scope="module")
def stub(place: Place) -> Iterator[Any]:
    with stub_of(place.grpc) as made:
        yield made


def infer(stub: Any, arrays: dict[str, Array], *outputs: str, model: str = "generator", **parameters: Any) -> Any:
    return stub.ModelInfer(request_of(arrays, *outputs, model=model, **parameters), timeout=30)


WRONG = {
    "count of nothing": (seeded(1, 0), "inputs[1].data: count is 0, wanted 1 to 200"),
    "count of too many": (seeded(1, 10**9), "inputs[1].data: count is 1000000000, wanted 1 to 200"),
    "too many rows": ({"z": latents(201)}, "inputs[0].shape: z has 201 rows, wanted 1 to 200"),
    "no rows": ({"z": latents(0)}, f"inputs[0].shape: the shape of z is [0, {LATENT_DIM}], wanted [n, {LATENT_DIM}]"),
    "flat latents": ({"z": latents(1)[0]}, "inputs[0].shape"),
    "doubles": ({"z": latents(1).astype(np.float64)}, "inputs[0].datatype: z is FP64, wanted FP32"),
    "not a number": ({"z": NAN}, "inputs[0].data"),
    "unknown input": ({"w": latents(1)}, "inputs[0].name: generator has no input 'w', wanted one of z, seed"),
    "two wishes": ({"z": latents(1), **seeded(1)}, "inputs: the inputs are seed and z, wanted either z alone"),
    "no wish": ({}, "inputs: the inputs are none"),
    "negative seed": ({"seed": np.array([-1])}, "inputs[0].data: seed is -1, wanted 0 to 2^64 - 1"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_request_names_its_field(stub: Any, case: str) -> None:
    arrays, words = WRONG[case]
    error = refusal(lambda: infer(stub, arrays))
    assert error.code() == Code.INVALID_ARGUMENT
    assert error.details().startswith(words)


def test_outputs_that_are_not_there_or_named_twice(stub: Any) -> None:
    for names, words in ((["logit"], "there is no output 'logit'"), (["image", "image"], "asked for twice")):
        error = refusal(partial(infer, stub, seeded(1), *names))
        assert error.code() == Code.INVALID_ARGUMENT
        assert words in error.details()


def test_a_tensor_given_twice(stub: Any) -> None:
    request = request_of(seeded(1))
    request.inputs.append(request.inputs[0])
    request.raw_input_contents.append(request.raw_input_contents[0])
    error = refusal(lambda: stub.ModelInfer(request, timeout=30))
    assert (error.code(), error.details()) == (
        Code.INVALID_ARGUMENT,
        "inputs[1].name: the input 'seed' is given twice, wanted once",
    )


@pytest.mark.parametrize("raw", [[b"1234567"], [b"123456789"], [b"12345678"] * 2, [b""]])
def test_raw_contents_that_are_not_as_long_as_said(stub: Any, raw: list[bytes]) -> None:
    request = pb.ModelInferRequest(model_name="generator", inputs=[tensor("seed", "UINT64", 1)], raw_input_contents=raw)
    error = refusal(lambda: stub.ModelInfer(request, timeout=30))
    assert error.code() == Code.INVALID_ARGUMENT
    assert error.details().startswith("raw_input_contents")


def test_typed_contents_make_the_same_images(stub: Any, generator: Generator) -> None:
    typed = {
        "seed": tensor("seed", "UINT64", 1, uint64_contents=[2**63]),
        "count": tensor("count", "INT32", 1, int_contents=[3]),
        "start": tensor("start", "UINT8", 1, uint_contents=[200]),
    }
    answer = stub.ModelInfer(pb.ModelInferRequest(model_name="generator", inputs=typed.values()), timeout=30)
    images = np.frombuffer(answer.raw_output_contents[0], np.uint8).reshape(answer.outputs[0].shape)
    assert np.array_equal(images, generator.sample(3, seed=2**63, start=200))
    z = tensor("z", "FP32", 2, LATENT_DIM, fp32_contents=latents(2).ravel().tolist())
    answer = stub.ModelInfer(pb.ModelInferRequest(model_name="generator", inputs=[z]), timeout=30)
    assert answer.raw_output_contents[0] == generator(latents(2)).tobytes()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (tensor("seed", "UINT64", 1, uint64_contents=[1, 2]), "has 2 elements, wanted 1"),
        (tensor("seed", "UINT64", 1, int64_contents=[1]), "has int64_contents, wanted uint64_contents"),
        (tensor("seed", "UINT64", 1), "has 0 elements, wanted 1"),
        (tensor("seed", "UINT8", 1, uint_contents=[256]), "holds 256, wanted 0 to 255"),
        (tensor("z", "FP32", 1, LATENT_DIM, fp32_contents=[np.inf] * LATENT_DIM), "wanted finite numbers"),
    ],
)
def test_typed_contents_that_are_wrong(stub: Any, given: Any, words: str) -> None:
    error = refusal(lambda: stub.ModelInfer(pb.ModelInferRequest(model_name="generator", inputs=[given]), timeout=30))
    assert error.code() == Code.INVALID_ARGUMENT
    assert error.details().startswith("inputs[0].contents")
    assert words in error.details()


@pytest.mark.parametrize(("model", "version"), [("painter", ""), ("generator", "2")])
def test_what_is_not_served_is_not_found(stub: Any, model: str, version: str) -> None:
    for call in (
        lambda: stub.ModelInfer(pb.ModelInferRequest(model_name=model, model_version=version), timeout=30),
        lambda: stub.ModelMetadata(pb.ModelMetadataRequest(name=model, version=version), timeout=30),
        lambda: stub.ModelConfig(pb.ModelConfigRequest(name=model, version=version), timeout=30),
        lambda: stub.ModelStatistics(pb.ModelStatisticsRequest(name=model, version=version), timeout=30),
    ):
        assert refusal(call).code() == Code.NOT_FOUND


def test_what_the_service_has_and_this_server_does_not(stub: Any) -> None:
    for call in (
        lambda: stub.RepositoryModelLoad(pb.RepositoryModelLoadRequest(), timeout=30),
        lambda: stub.SystemSharedMemoryStatus(pb.SystemSharedMemoryStatusRequest(), timeout=30),
        lambda: stub.TraceSetting(pb.TraceSettingRequest(), timeout=30),
    ):
        error = refusal(call)
        assert error.code() == Code.UNIMPLEMENTED
        assert "is not served" in error.details()


@pytest.mark.parametrize("name", ["priority", "sequence_id", "shared_memory_region"])
def test_parameters_whose_wish_cannot_be_met(stub: Any, name: str) -> None:
    request = request_of(seeded(1))
    request.parameters[name].int64_param = 1
    error = refusal(lambda: stub.ModelInfer(request, timeout=30))
    assert error.code() == Code.INVALID_ARGUMENT
    assert error.details().startswith(f"parameters.{name}: ")


@pytest.mark.parametrize("value", [-1, "soon", True])
def test_a_timeout_that_is_none(stub: Any, value: Any) -> None:
    error = refusal(lambda: infer(stub, seeded(1), timeout=value))
    assert (error.code(), error.details().split(":")[0]) == (Code.INVALID_ARGUMENT, "parameters.timeout")


def test_bytes_that_are_no_message(place: Place) -> None:
    with grpcio.insecure_channel(place.grpc) as channel:
        call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        error = refusal(lambda: call(b"\xff\xff\xff\xff", timeout=30))
        assert (error.code(), error.details().split(",")[0]) == (
            Code.INVALID_ARGUMENT,
            "message: the message is broken",
        )
        error = refusal(lambda: call(b"\x0a\x01\xff", timeout=30))  # a name that is no UTF-8
        assert (error.code(), error.details()) == (
            Code.INVALID_ARGUMENT,
            "message: the message is no ModelInferRequest",
        )
        unknown = channel.unary_unary("/inference.GRPCInferenceService/Paint")
        assert refusal(lambda: unknown(b"", timeout=30)).code() == Code.UNIMPLEMENTED


FLOODS = {
    "inputs": pb.ModelInferRequest(inputs=[tensor("", "")] * 2000),
    "outputs": pb.ModelInferRequest(outputs=[pb.ModelInferRequest.InferRequestedOutputTensor()] * 2000),
    "raw contents": pb.ModelInferRequest(raw_input_contents=[b""] * 2000),
}


@pytest.mark.parametrize("what", FLOODS)
def test_a_flood_of_small_parts_is_not_even_parsed(stub: Any, what: str) -> None:
    error = refusal(lambda: stub.ModelInfer(FLOODS[what], timeout=30))
    assert error.code() == Code.INVALID_ARGUMENT
    assert error.details() == "message: the message has more than 1000 tensors and parameters, wanted fewer"


def test_a_flood_of_parameters_of_one_tensor(place: Place) -> None:
    parameters = b"\x22\x00" * 2000  # field 4 of a tensor, empty
    with grpcio.insecure_channel(place.grpc) as channel:
        call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        error = refusal(lambda: call(b"\x2a\xa0\x1f" + parameters, timeout=30))
    assert (error.code(), error.details().split(",")[0]) == (
        Code.INVALID_ARGUMENT,
        "message: the message has more than 1000 tensors and parameters",
    )


def test_a_shape_without_end_is_not_read_to_its_end(stub: Any) -> None:
    request = pb.ModelInferRequest(model_name="generator", inputs=[tensor("z", "FP32", *[1] * 100_000)])
    error = refusal(lambda: stub.ModelInfer(request, timeout=30))
    assert (error.code(), error.details().split(":")[0]) == (Code.INVALID_ARGUMENT, "inputs[0].shape")


def test_very_many_numbers_want_to_be_raw() -> None:
    numbers = b"\x01" * (LONGEST_NUMBERS + 1)
    check_parts(pb.ModelInferRequest(raw_input_contents=[numbers]).SerializeToString())
    given = tensor("z", "FP32", 1, bytes_contents=[numbers])
    with pytest.raises(ProblemError, match="send its tensors raw") as caught:
        check_parts(pb.ModelInferRequest(inputs=[given]).SerializeToString())
    assert caught.value.problem.status == 413


@pytest.mark.parametrize("algorithm", [None, "gzip"])
def test_a_message_over_the_bound(grpc: Any, generator: Generator, algorithm: str | None) -> None:
    rows = MAX_BODY // (4 * LATENT_DIM) + 1
    inputs = tensors(triton_grpc, {"z": np.zeros((rows, LATENT_DIM), np.float32)})
    with pytest.raises(InferenceServerException) as caught:
        grpc.infer("generator", inputs, compression_algorithm=algorithm)
    assert caught.value.status() == "StatusCode.RESOURCE_EXHAUSTED"
    images = grpc.infer("generator", tensors(triton_grpc, seeded(1))).as_numpy("image")
    assert np.array_equal(images, generator.sample(1, seed=1))


@pytest.fixture(scope="module")
def guarded(bundle: Path) -> Iterator[Here]:
    with serving_here(bundle, grpc_port=0, token="bread and cheese") as here:
        yield here


@pytest.mark.parametrize(
    "metadata",
    [
        (),
        (("authorization", "Bearer kase"),),
        (("authorization", "Basic k"),),
        (("authorization", "Bearer a"), ("authorization", "Bearer b")),
    ],
)
def test_without_the_token_only_health_is_told(guarded: Here, metadata: Any) -> None:
    with stub_of(str(guarded.grpc)) as stub:
        assert stub.ServerLive(pb.ServerLiveRequest(), metadata=metadata, timeout=30).live
        assert stub.ServerReady(pb.ServerReadyRequest(), metadata=metadata, timeout=30).ready
        for call in (
            lambda: stub.ModelInfer(request_of(seeded(1)), metadata=metadata, timeout=30),
            lambda: stub.ServerMetadata(pb.ServerMetadataRequest(), metadata=metadata, timeout=30),
            lambda: list(stub.ModelStreamInfer(iter([request_of(seeded(1))]), metadata=metadata, timeout=30)),
        ):
            error = refusal(call)
            assert error.code() == Code.UNAUTHENTICATED
            assert "Bearer TOKEN" in error.details()


def test_with_the_token_everything_is_served(guarded: Here, generator: Generator) -> None:
    headers = {"authorization": "Bearer bread and cheese"}
    with triton_grpc.InferenceServerClient(str(guarded.grpc)) as client:
        images = client.infer("generator", tensors(triton_grpc, seeded(3)), headers=headers).as_numpy("image")
        assert client.is_model_ready("generator", headers=headers)
    assert np.array_equal(images, generator.sample(1, seed=3))
