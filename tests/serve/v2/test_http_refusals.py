"""What HTTP refuses: broken JSON, lies about lengths, numbers out of range; each with a field, never with a trace."""

import gzip
import json
import zlib
from typing import Any

import numpy as np
import pytest
from ganport_runtime import Generator

from tests.serve.v2.conftest import MAX_BODY, Place
from tests.serve.v2.tensors import LATENT_DIM, latents
from tests.serve.v2.wire import HEADER_LENGTH, INFER, Answer, packed, seeds, send

SEED = np.array([7], "<u8").tobytes()
BINARY = {"name": "seed", "datatype": "UINT64", "shape": [1], "parameters": {"binary_data_size": 8}}
Z = {"name": "z", "datatype": "FP32", "shape": [1, LATENT_DIM]}


def infer(place: Place, *inputs: Any, **members: Any) -> Answer:
    return send(place.http, json.dumps({"inputs": list(inputs), **members}).encode())


def check(answer: Answer, status: int, field: str | None, words: str = "") -> None:
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.document
    assert document["status"] == status
    assert document.get("field", "").startswith(field or "")
    assert words in document["detail"]
    assert document["error"] == document["detail"]
    assert "Traceback" not in answer.body.decode()


INPUTS = {
    "unknown name": ({**seeds([1]), "name": "sad"}, "inputs[0].name", "no input 'sad', wanted one of z, seed"),
    "no name": ({"datatype": "FP32", "shape": [1], "data": [1]}, "inputs[0].name", ""),
    "no datatype": ({"name": "z", "shape": [1], "data": [1]}, "inputs[0].datatype", ""),
    "unknown datatype": (seeds([1], datatype="U64"), "inputs[0].datatype", "wanted one of BOOL"),
    "bytes": (seeds(["1"], datatype="BYTES"), "inputs[0].datatype", "no model here takes"),
    "a float": (seeds([1.0], datatype="FP32"), "inputs[0].datatype", "seed is FP32, wanted UINT64 or"),
    "two seeds": (seeds([1, 2], shape=[2]), "inputs[0].shape", "[2], wanted [1]"),
    "shape of words": (seeds([1], shape=["1"]), "inputs[0].shape", ""),
    "negative shape": (seeds([1], shape=[-1]), "inputs[0].shape", ""),
    "shape of truth": (seeds([1], shape=[True]), "inputs[0].shape", ""),
    "huge shape": ({**Z, "shape": [10**400, LATENT_DIM], "data": [0.0]}, "inputs[0].shape", "rows"),
    "too few": (seeds([]), "inputs[0].data", "has 0 elements, wanted 1"),
    "too many": (seeds([1, 2]), "inputs[0].data", "has 2 elements, wanted 1"),
    "fraction": (seeds([1.5]), "inputs[0].data", ""),
    "truth": (seeds([True]), "inputs[0].data", ""),
    "word": (seeds(["1"]), "inputs[0].data", ""),
    "nothing": (seeds([None]), "inputs[0].data", ""),
    "too large": (seeds([2**64]), "inputs[0].data", f"wanted 0 to {2**64 - 1}"),
    "negative": (seeds([-1]), "inputs[0].data", "holds -1, wanted 0 to"),
    "no list": (seeds(1), "inputs[0].data", ""),
    "no data": (seeds(None), "inputs[0]", "has nothing"),
    "both": (seeds([1], parameters={"binary_data_size": 8}), "inputs[0]", "has both"),
    "crooked": ({**Z, "data": [[0.0] * 9]}, "inputs[0].data", ""),
    "beyond floats": ({**Z, "data": [10**400] * LATENT_DIM}, "inputs[0].data", ""),
    "no object": (7, "inputs[0]", ""),
    "shared memory": (
        seeds([1], parameters={"shared_memory_region": "a"}),
        "inputs[0].parameters.shared_memory_region",
        "shared memory is not served",
    ),
}


@pytest.mark.parametrize("case", INPUTS)
def test_a_wrong_input_names_its_field(place: Place, case: str) -> None:
    given, field, words = INPUTS[case]
    check(infer(place, given), 400, field, words)


MEMBERS: dict[str, tuple[dict[str, Any], str, str]] = {
    "inputs": ({"inputs": {}}, "inputs", ""),
    "no inputs": ({"inputs": []}, "inputs", "the inputs are none"),
    "id": ({"id": 7}, "id", ""),
    "outputs": ({"outputs": "image"}, "outputs", ""),
    "unknown output": ({"outputs": [{"name": "logit"}]}, "outputs[0].name", "there is no output 'logit'"),
    "twice": ({"outputs": [{"name": "image"}] * 2}, "outputs[1].name", "asked for twice"),
    "flag": (
        {"outputs": [{"name": "image", "parameters": {"binary_data": 1}}]},
        "outputs[0].parameters.binary_data",
        "wanted true or false",
    ),
    "parameters": ({"parameters": []}, "parameters", ""),
    "timeout": ({"parameters": {"timeout": -1}}, "parameters.timeout", "whole number of microseconds"),
    "priority": ({"parameters": {"priority": 1}}, "parameters.priority", "priorities are not served"),
}


@pytest.mark.parametrize("case", MEMBERS)
def test_a_wrong_member_names_itself(place: Place, case: str) -> None:
    members, field, words = MEMBERS[case]
    check(infer(place, seeds([1]), **members), 400, field, words)


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"nothing", b"\xff\xfe", b'{"inputs": [NaN]}', b'{"inputs": ' + b"[" * 100_000, b"1" * 5000, b"[]"],
    ids=["empty", "cut", "word", "no UTF-8", "NaN", "deep", "long number", "list"],
)
def test_a_body_that_is_no_request(place: Place, text: bytes) -> None:
    check(send(place.http, text), 400, "inputs[0]" if text.endswith(b"[[") else "body")


@pytest.mark.parametrize("length", ["-1", "1e3", "", "99999", "9" * 30, "0x10", "\u00b2"])
def test_a_header_length_that_is_none(place: Place, length: str) -> None:
    body, _ = packed({"inputs": [BINARY]}, SEED)
    check(send(place.http, body, {HEADER_LENGTH: length.encode("latin-1").decode("latin-1")}), 400, HEADER_LENGTH)


@pytest.mark.parametrize("size", [7, 9, 0, -8, 8.0, "8", True, 10**400])
def test_a_binary_size_that_is_not_the_tensors(place: Place, size: Any) -> None:
    body, headers = packed({"inputs": [{**BINARY, "parameters": {"binary_data_size": size}}]}, SEED)
    check(send(place.http, body, headers), 400, "inputs[0].parameters.binary_data_size", "wanted 8 for UINT64 [1]")


@pytest.mark.parametrize("tail", [b"", SEED[:-1], SEED + b"\0", SEED * 2])
def test_more_or_fewer_bytes_than_said(place: Place, tail: bytes) -> None:
    body, headers = packed({"inputs": [BINARY]}, tail)
    check(send(place.http, body, headers), 400, HEADER_LENGTH, f"{len(tail)} bytes follow the JSON, wanted 8")


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_latents_that_are_no_numbers(place: Place, number: float) -> None:
    z = latents(2)
    z[1, 3] = number
    parameters = {"binary_data_size": z.nbytes}
    body, headers = packed({"inputs": [{**Z, "shape": [2, LATENT_DIM], "parameters": parameters}]}, z.tobytes())
    check(send(place.http, body, headers), 400, "inputs[0].data")


@pytest.mark.parametrize("count", [0, 201, 10**9])
def test_counts_out_of_range(place: Place, count: int) -> None:
    given = {"name": "count", "datatype": "UINT32", "shape": [1], "data": [count]}
    check(infer(place, seeds([1]), given), 400, "inputs[1].data", f"count is {count}, wanted 1 to 200")


@pytest.mark.parametrize("model", ["painter", "generator/versions/2", "a%2Fb", "%F0%9F%8E%A8"])
def test_models_that_are_not_served(place: Place, model: str) -> None:
    answer = send(place.http, b"{}", path=f"/v2/models/{model}/infer")
    check(answer, 404, None)


@pytest.mark.parametrize("end", ["", "/config", "/stats", "/ready", "/versions/9", "/versions/9/config"])
def test_what_a_model_says_of_itself_it_says_only_if_it_is_there(place: Place, end: str) -> None:
    name = "generator" if "versions" in end else "painter"
    check(send(place.http, b"", path=f"/v2/models/{name}{end}", method="GET"), 404, None)


def test_extensions_that_are_not_served_say_so(place: Place) -> None:
    for path in ("/v2/repository/models/generator/load", "/v2/systemsharedmemory/region/a/register", "/v2/logging"):
        check(send(place.http, b"{}", path=path), 501, None, "not")


@pytest.mark.parametrize("body", [b"[]", b'{"ready": 1}', b"{"])
def test_an_index_request_that_is_none(place: Place, body: bytes) -> None:
    answer = send(place.http, body, path="/v2/repository/index")
    assert answer.status == 400
    assert answer.document["field"] in ("body", "ready")


@pytest.mark.parametrize(
    ("encoding", "body", "status", "words"),
    [
        ("br", b"{}", 415, "wanted gzip, deflate or none"),
        ("gzip", b"{}", 400, "the body is no gzip"),
        ("deflate", gzip.compress(b"{}", mtime=0), 400, "the body is no deflate"),
        ("gzip", gzip.compress(b"{}", mtime=0)[:-3], 400, "cut short"),
        ("gzip", gzip.compress(b"{}", mtime=0) * 2, 400, "more than one stream"),
        ("gzip", gzip.compress(bytes(MAX_BODY + 1)), 413, f"more than {MAX_BODY} bytes once decompressed"),
        ("deflate", zlib.compress(bytes(MAX_BODY * 50)), 413, f"more than {MAX_BODY} bytes once decompressed"),
    ],
)
def test_encodings_that_are_not_read(place: Place, encoding: str, body: bytes, status: int, words: str) -> None:
    field = "Content-Encoding" if status == 415 else "body"
    check(send(place.http, body, {"Content-Encoding": encoding}), status, field, words)


@pytest.mark.parametrize("encoding", ["identity", "GZIP", "deflate"])
def test_encodings_that_are_read(place: Place, generator: Generator, encoding: str) -> None:
    body = json.dumps({"inputs": [seeds([7])]}).encode()
    encoded = {"identity": body, "GZIP": gzip.compress(body, mtime=0), "deflate": zlib.compress(body)}[encoding]
    (image,) = send(place.http, encoded, {"Content-Encoding": encoding}).document["outputs"]
    assert image["data"] == generator.sample(1, seed=7).ravel().tolist()


def test_after_all_that_the_right_image_comes(place: Place, generator: Generator) -> None:
    body, headers = packed({"inputs": [BINARY], "parameters": {"binary_data_output": True}, "id": "é"}, SEED)
    answer = send(place.http, body, headers, path=f"{INFER}?ignored=1")
    assert answer.document["id"] == "é"
    assert answer.body.endswith(generator.sample(1, seed=7).tobytes())


def test_numbers_as_nested_lists_and_as_one(place: Place, generator: Generator) -> None:
    z = latents(2)
    for data in (z.tolist(), z.ravel().tolist()):
        (image,) = infer(place, {**Z, "shape": [2, LATENT_DIM], "data": data}).document["outputs"]
        assert (image["datatype"], image["shape"]) == ("UINT8", [2, 8, 6, 3])
        assert image["data"] == generator(z).ravel().tolist()


def test_the_index_of_models_that_are_ready(place: Place) -> None:
    for body in (b"", b"{}", b'{"ready": true}'):
        answer = send(place.http, body, path="/v2/repository/index")
        assert [item["name"] for item in answer.document] == ["generator", "discriminator"]
