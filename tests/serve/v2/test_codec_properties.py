"""What holds for every request: all ways to send a tensor mean the same, and no broken bytes do harm."""

import json
from typing import Any

import grpc as grpcio  # type: ignore[import-untyped]
import numpy as np
import pytest
from ganport_runtime import Discriminator, Generator
from ganport_serve.v2.models import DTYPES
from ganport_serve.v2.tensors import array_of, json_text
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tritonclient.grpc import service_pb2 as pb  # type: ignore[import-untyped]
from tritonclient.http import InferResult  # type: ignore[import-untyped]

from tests.serve.v2.conftest import Place
from tests.serve.v2.messages import request_of
from tests.serve.v2.tensors import LATENT_DIM, Array, latents, seeded
from tests.serve.v2.wire import HEADER_LENGTH, Answer, packed, send

pytestmark = pytest.mark.slow

FEW = settings(max_examples=60, deadline=None)
MANY = settings(max_examples=300, deadline=None)
IMAGE = (8, 6, 3)
METHOD = "/inference.GRPCInferenceService/ModelInfer"

finite = st.floats(-1e6, 1e6, width=32)
some_latents = st.integers(1, 5).flatmap(lambda rows: arrays.arrays(np.float32, (rows, LATENT_DIM), elements=finite))
some_images = st.integers(1, 5).flatmap(lambda rows: arrays.arrays(np.uint8, (rows, *IMAGE)))
some_tensors = st.sampled_from(sorted(DTYPES)).flatmap(
    lambda datatype: st.tuples(
        st.just(datatype),
        arrays.arrays(
            DTYPES[datatype],
            arrays.array_shapes(max_dims=4, max_side=4),
            elements={"allow_nan": False, "allow_infinity": False} if datatype.startswith("FP") else None,
        ),
    )
)


def ask(place: Place, model: str, name: str, datatype: str, array: Array, *, binary: bool) -> InferResult:
    """One tensor by HTTP, there and back as bytes or as JSON."""
    declared = {"name": name, "datatype": datatype, "shape": array.shape}
    if binary:
        document = {"inputs": [{**declared, "parameters": {"binary_data_size": array.nbytes}}]}
        body, headers = packed({**document, "parameters": {"binary_data_output": True}}, array.tobytes())
    else:
        body, headers = json.dumps({"inputs": [{**declared, "data": array.tolist()}]}).encode(), {}
    return decoded(send(place.http, body, headers, path=f"/v2/models/{model}/infer"))


def decoded(answer: Answer) -> InferResult:
    """The answer as tritonclient reads it."""
    assert answer.status == 200, answer.body
    length = answer.headers.get(HEADER_LENGTH.lower())
    return InferResult.from_response_body(answer.body, header_length=None if length is None else int(length))


@FEW
@given(z=some_latents, binary=st.booleans())
def test_any_latents_become_the_images_of_the_generator(
    place: Place, generator: Generator, z: Array, binary: bool
) -> None:
    images = ask(place, "generator", "z", "FP32", z, binary=binary).as_numpy("image")
    assert np.array_equal(images, generator(z))


@FEW
@given(images=some_images, binary=st.booleans())
def test_any_images_become_the_scores_of_the_discriminator(
    place: Place, discriminator: Discriminator, images: Array, binary: bool
) -> None:
    result = ask(place, "discriminator", "image", "UINT8", images, binary=binary)
    assert np.array_equal(result.as_numpy("logit"), discriminator.score(images))
    assert np.array_equal(result.as_numpy("features"), discriminator.embed(images))


@MANY
@given(tensor=some_tensors, flat=st.booleans())
def test_any_tensor_of_any_datatype_is_read_from_json(tensor: tuple[str, Array], flat: bool) -> None:
    datatype, array = tensor
    data = json.loads(json.dumps((array.ravel() if flat else array).tolist()))
    read = array_of(data, datatype, array.shape, "data")
    assert (read.dtype, read.shape) == (array.dtype, array.shape)
    assert np.array_equal(read, array)


@FEW
@given(array=some_images | some_latents)
def test_any_output_is_written_as_json(array: Array) -> None:
    assert json.loads(b"[%s]" % json_text(array, "image")) == array.ravel().tolist()


@st.composite
def damages(draw: st.DrawFn) -> tuple[str, float, bytes]:
    """What happens to some bytes: how, where (a share of their length), and what comes in their stead."""
    how = draw(st.sampled_from(["replace", "insert", "cut", "end"]))
    return how, draw(st.floats(0, 1, exclude_max=True)), draw(st.binary(min_size=1, max_size=4))


def damaged(data: bytes, damage: tuple[str, float, bytes]) -> bytes:
    how, share, new = damage
    at = int(share * len(data))
    after = {"replace": data[at + len(new) :], "insert": data[at:], "cut": data[at + len(new) :], "end": b""}[how]
    return data[:at] + (b"" if how in ("cut", "end") else new) + after


@MANY
@given(damage=damages())
def test_a_damaged_request_is_refused_with_its_field_or_answered_rightly(
    place: Place, generator: Generator, damage: tuple[str, float, bytes]
) -> None:
    z = latents(2)
    given = {"name": "z", "datatype": "FP32", "shape": [2, LATENT_DIM], "parameters": {"binary_data_size": z.nbytes}}
    body, headers = packed({"inputs": [given], "outputs": [{"name": "image"}], "id": "a"}, z.tobytes())
    broken = damaged(body, damage)
    answer = send(place.http, broken, headers)
    assert answer.status in (200, 400), answer.body
    if answer.status == 400:
        assert answer.document["field"]
    else:  # the JSON means the same still, and the latents are what follows it
        sent = np.frombuffer(broken[int(headers[HEADER_LENGTH]) :], "<f4").reshape(2, LATENT_DIM)
        assert np.array_equal(decoded(answer).as_numpy("image"), generator(sent))


@MANY
@given(text=st.binary(max_size=40) | st.text(max_size=40).map(str.encode), length=st.integers(-1, 60))
def test_no_bytes_at_all_do_harm(place: Place, text: bytes, length: int) -> None:
    answer = send(place.http, text, {HEADER_LENGTH: str(length)})
    assert answer.status == 400
    assert answer.document["field"]


leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
members = st.sampled_from(["inputs", "outputs", "id", "parameters", "name", "shape", "datatype", "data", "timeout"])
documents = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(members, inner, max_size=4)
)


@MANY
@given(document=documents, path=st.sampled_from(["inputs", "outputs", "id", "parameters", "shape", "data", "datatype"]))
def test_any_json_in_any_place_is_refused_with_its_field_or_answered(place: Place, document: Any, path: str) -> None:
    seed = {"name": "seed", "datatype": "UINT64", "shape": [1], "data": [3]}
    request: dict[str, Any] = {"inputs": [seed]}
    (request if path in ("inputs", "outputs", "id", "parameters") else seed)[path] = document
    answer = send(place.http, json.dumps(request).encode())
    assert answer.status in (200, 400, 504), answer.body
    assert answer.status != 400 or answer.document["field"]


@MANY
@given(damage=damages())
def test_a_damaged_message_is_refused_or_answered(
    channel: Any, generator: Generator, damage: tuple[str, float, bytes]
) -> None:
    broken = damaged(request_of({**seeded(9, 2), "start": np.array([5], np.int64)}).SerializeToString(), damage)
    code, data = outcome(channel.unary_unary(METHOD), broken)
    assert code in (grpcio.StatusCode.OK, grpcio.StatusCode.INVALID_ARGUMENT, grpcio.StatusCode.NOT_FOUND)
    if code == grpcio.StatusCode.OK:
        read = pb.ModelInferRequest.FromString(broken)
        raw = zip((tensor.name for tensor in read.inputs), read.raw_input_contents, strict=True)
        numbers = {name: int.from_bytes(data, "little") for name, data in raw}
        wanted = generator.sample(numbers.get("count", 1), seed=numbers["seed"], start=numbers.get("start", 0))
        assert pb.ModelInferResponse.FromString(data).raw_output_contents[0] == wanted.tobytes()


def outcome(call: Any, message: bytes) -> tuple[Any, bytes]:
    """The code in which a call ends, and its answer's bytes."""
    try:
        return grpcio.StatusCode.OK, call(message, timeout=30)
    except grpcio.RpcError as error:
        return error.code(), b""


@pytest.fixture(scope="module")
def channel(place: Place) -> Any:
    with grpcio.insecure_channel(place.grpc) as opened:
        yield opened
