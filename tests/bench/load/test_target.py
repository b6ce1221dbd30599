"""What can be loaded, and how a server tells how it is asked."""

import json
import re
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ganport_bench.client.requests import LitServeEncoder, ModelInput, RequestEncoder, SeedEncoder, TensorEncoder
from ganport_bench.errors import BenchError
from ganport_bench.load import ServedBundle, target_of
from ganport_bench.load.servers import ReadyServer, self_test

from tests.bench.client.fake_server import Fake, answer, parse, running
from tests.bench.load.open_inference import described, url_of
from tests.support.bundles import make_bundle, make_weights
from tests.support.serving import serving_here

REFUSALS = {
    "https://host": "https is not spoken here, only plain http",
    "grpc://host:8001": "grpc is not spoken here, only plain http",
    "http://": "give a server as http://HOST:PORT",
    "http://host:80a": "Port could not be cast",
    "http://[host": "Invalid IPv6 URL",
    "http://me:secret@host": "without a user",
    "http://host:8000/v2/models/generator": "give the server alone, http://host:8000, and a model by --model",
    "no-such-folder": "is no folder; give http://HOST:PORT of an Open Inference Protocol server, litserve",
}


def opened(text: str, model: str = "generator") -> ReadyServer:
    with target_of(text, model=model).open(lambda _: None) as found:
        self_test(found)
        return found


def host_of(found: ReadyServer) -> str:
    """As it is asked for: some gateways choose the server by it."""
    return f"{found.endpoint.host}:{found.endpoint.port}"


def asked(found: ReadyServer, encoder: RequestEncoder) -> ReadyServer:
    """The same server, asked in another way."""
    return replace(found, endpoint=replace(found.endpoint, encoder=encoder))


@pytest.mark.parametrize(("text", "told"), REFUSALS.items(), ids=REFUSALS)
def test_what_is_no_target_takes_one_line(text: str, told: str) -> None:
    with pytest.raises(BenchError, match=re.escape(told)) as refused:
        target_of(text)
    assert "\n" not in str(refused.value)


def test_a_folder_is_a_bundle(tmp_path: Path) -> None:
    target = target_of(str(tmp_path))
    assert isinstance(target, ServedBundle)
    assert target.text == f"ganport serve {tmp_path}"


def test_ganports_generator_is_asked_by_a_seed() -> None:
    with running(Fake(documents=described())) as fake:
        found = opened(url_of(fake))
    assert found.endpoint.encoder == SeedEncoder("generator", (1,), host_of(found))
    assert f"Host: {host_of(found)}\r\n".encode() in found.endpoint.encoder.request(7)
    assert (found.system, found.judged) == ("fake 1.0", "answers are judged by their status alone")
    assert found.no_statistics == "the server has no statistics: it answers 404 to GET /v2/models/generator/stats"


def test_a_batch_axis_is_one() -> None:
    seed = [{"name": "seed", "datatype": "UINT64", "shape": [-1, 1]}]
    with running(Fake(documents=described(seed, model="made"))) as fake:
        found = opened(url_of(fake), "made")
    assert found.endpoint.encoder == SeedEncoder("made", (1, 1), host_of(found))


def test_any_other_model_is_given_all_of_its_inputs() -> None:
    z = [{"name": "z", "datatype": "FP32", "shape": [-1, 8]}]
    with running(Fake(documents=described(z))) as fake:
        found = opened(url_of(fake))
    inputs = (ModelInput("z", "FP32", (1, 8)),)
    assert found.endpoint.encoder == TensorEncoder("generator", inputs, is_binary=True, host=host_of(found))


def test_a_server_without_binary_tensors_is_asked_in_json() -> None:
    with running(Fake(documents=described(extensions=()))) as fake:
        found = opened(url_of(fake))
    inputs = (ModelInput("seed", "UINT64", (1,)),)
    assert found.endpoint.encoder == TensorEncoder("generator", inputs, is_binary=False, host=host_of(found))


def test_litserve_is_asked_on_its_path() -> None:
    with running(Fake()) as fake:
        text = url_of(fake).replace("http://", "litserve+http://")
        for path, found in (("/predict", opened(text)), ("/made", opened(f"{text}/made"))):
            assert found.endpoint.encoder == LitServeEncoder(path, host_of(found))


def test_what_a_server_cannot_be_asked_is_told() -> None:
    def told(documents: Any, text: str, says: Any = None) -> None:
        fake = Fake(documents=documents) if says is None else Fake(documents=documents, says=says)
        with running(fake), pytest.raises(BenchError, match=re.escape(text)):
            opened(url_of(fake))

    told({}, "is no Open Inference Protocol server: it answers 404 to GET /v2; LitServe's address is given as litserve")
    told(described(model="other"), "answers 404 to GET /v2/models/generator: name a model that it serves by --model")
    told(described([{"name": "z", "datatype": "COMPLEX", "shape": [1]}]), "the input z is COMPLEX, wanted one of")
    half = [{"name": "z", "datatype": "FP16", "shape": [1]}]
    told(described(half, extensions=()), "the input z is FP16, which JSON cannot carry")
    told(described(["z"]), "the metadata of generator does not say what its inputs and outputs are")
    refusal = answer(b'{"error": "no more"}', 400)
    told(described(), 'fake 1.0 answers 400 to a request: {"error": "no more"}', lambda *_: [refusal])
    told(described(), "fake 1.0 does not answer a request: ", lambda *_: [])


def test_nobody_at_home_is_told() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(BenchError, match=r"^http://127.0.0.1:\d+ does not answer \(.*refused\): start the server"):
            opened(f"http://127.0.0.1:{free.getsockname()[1]}")


def test_a_real_server_takes_every_kind_of_request(tmp_path: Path) -> None:
    """Both models, by a seed and by all inputs, binary and as JSON."""
    bundle = make_bundle(tmp_path / "tiny.ganport", make_weights())
    with serving_here(bundle) as here:
        generator, discriminator = opened(here.url), opened(here.url, "discriminator")
        assert generator.statistics is not None
        assert isinstance(generator.endpoint.encoder, SeedEncoder)
        encoder = TensorEncoder("discriminator", (ModelInput("image", "UINT8", (1, 16, 16, 3)),), is_binary=True)
        assert discriminator.endpoint.encoder == replace(encoder, host=host_of(discriminator))
        wrong, right = ModelInput("z", "FP32", (1, 13)), ModelInput("z", "FP32", (1, 12))
        for other in (
            replace(encoder, is_binary=False),
            TensorEncoder("generator", (right,), is_binary=True),
            TensorEncoder("generator", (right,), is_binary=False),
        ):
            self_test(asked(generator, other))
        with pytest.raises(BenchError, match=r"^ganport .* answers 400 to a request: .*inputs\[0\]"):
            self_test(asked(generator, TensorEncoder("generator", (wrong,), is_binary=True)))


def test_inputs_have_the_shape_and_type_that_metadata_names() -> None:
    inputs = (
        ModelInput("z", "FP32", (1, 8)),
        ModelInput("half", "FP16", (3,)),
        ModelInput("brain", "BF16", (2,)),
        ModelInput("text", "BYTES", (2,)),
        ModelInput("flag", "BOOL", (1,)),
        ModelInput("count", "INT64", (1, 1)),
    )
    first, _, document, binary = parse(TensorEncoder("a model", inputs, is_binary=True).request(3))
    assert first == "POST /v2/models/a%20model/infer HTTP/1.1"
    assert document["parameters"] == {"binary_data_output": True}
    declared: Any = document["inputs"]
    sizes = [one["parameters"]["binary_data_size"] for one in declared]
    assert sizes == [32, 6, 4, 8, 1, 8]
    assert len(binary) == sum(sizes)
    z = np.frombuffer(binary[:32], "<f4")
    assert 0.1 < z.std() < 3
    assert binary[42:] == bytes(17), "what is not real is zero"
    brain = (np.frombuffer(binary[38:42], "<u2").astype("<u4") << 16).view("<f4")
    assert np.all((np.abs(brain) < 6) & (brain != 0))
    assert [one["shape"] for one in declared] == [[1, 8], [3], [2], [2], [1], [1, 1]]


def test_requests_differ_from_each_other() -> None:
    encoder = TensorEncoder("made", (ModelInput("z", "FP64", (4,)), ModelInput("text", "BYTES", (1,))), is_binary=False)
    documents = [parse(encoder.request(number))[2] for number in range(4)]
    assert len({json.dumps(document) for document in documents}) == 4
    data: Any = documents[0]["inputs"]
    assert [len(one["data"]) for one in data] == [4, 1]
    assert data[1]["data"] == [""]
