"""tritonclient, unchanged, over HTTP and gRPC: what the models are, and the very images and scores of the runtime."""

import queue
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc  # type: ignore[import-untyped]
import tritonclient.http as triton_http  # type: ignore[import-untyped]
from ganport_runtime import Discriminator, Generator, __version__
from tritonclient.utils import InferenceServerException  # type: ignore[import-untyped]

from tests.serve.v2.tensors import LAST, LATENT_DIM, Array, asked, latents, seeded, tensors

IMAGE = (8, 6, 3)
MODELS = ("generator", "discriminator")


@dataclass(frozen=True)
class Way:
    """A client, and how it sends tensors."""

    client: Any  # of tritonclient
    protocol: Any  # its module
    binary: bool = True  # whether tensors travel as bytes; else as JSON

    def infer(self, model: str, arrays: dict[str, Array], *outputs: str, **options: Any) -> Any:
        """The answer to these inputs; where no outputs are named, as the server sends them by itself."""
        inputs = tensors(self.protocol, arrays, binary=self.binary)
        wanted = asked(self.protocol, *outputs, binary=self.binary) if outputs else None
        return self.client.infer(model, inputs, outputs=wanted, **options)


@pytest.fixture(params=["http-json", "http-binary", "grpc"])
def way(request: pytest.FixtureRequest, http: Any, grpc: Any) -> Way:
    if request.param == "grpc":
        return Way(grpc, triton_grpc)
    return Way(http, triton_http, binary=request.param == "http-binary")


@pytest.fixture(params=["http", "grpc"])
def client(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def words(client: Any) -> dict[str, Any]:
    """What makes gRPC's client give documents, as HTTP's does."""
    return {"as_json": True} if isinstance(client, triton_grpc.InferenceServerClient) else {}


def test_server_and_models_are_live_and_ready(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert all(client.is_model_ready(name) and client.is_model_ready(name, "1") for name in MODELS)
    assert not client.is_model_ready("painter")
    assert not client.is_model_ready("generator", "2")


def test_the_server_says_what_it_is(client: Any) -> None:
    document = client.get_server_metadata(**words(client))
    assert (document["name"], document["version"]) == ("ganport", __version__)
    assert "binary_tensor_data" in document["extensions"]


def test_metadata_names_every_tensor(client: Any) -> None:
    document = client.get_model_metadata("generator", **words(client))
    assert document["versions"] == ["1"]
    inputs = {item["name"]: (item["datatype"], [int(size) for size in item["shape"]]) for item in document["inputs"]}
    assert inputs == {
        "z": ("FP32", [-1, LATENT_DIM]),
        "seed": ("UINT64", [1]),
        "count": ("UINT32", [1]),
        "start": ("UINT64", [1]),
    }
    (image,) = document["outputs"]
    assert (image["name"], image["datatype"], list(map(int, image["shape"]))) == ("image", "UINT8", [-1, 8, 6, 3])
    scores = client.get_model_metadata("discriminator", "1", **words(client))["outputs"]
    assert [(item["name"], item["datatype"]) for item in scores] == [("logit", "FP32"), ("features", "FP32")]


def test_config_says_which_bundle_and_plan_answer(client: Any, generator: Generator) -> None:
    document = client.get_model_config("generator", **words(client))
    config = document.get("config", document)
    assert [item["name"] for item in config["input"]] == ["z", "seed", "count", "start"]
    assert all(item["optional"] for item in config["input"])
    said = {key: value["string_value"] for key, value in config["parameters"].items()}
    assert said["digest"] == generator.bundle.digest
    assert said["plan"].startswith("generator-deconv-fp32")


def test_the_index_lists_both_models_as_ready(client: Any) -> None:
    document = client.get_model_repository_index(**words(client))
    index = document["models"] if isinstance(document, dict) else document
    assert [(item["name"], item["version"], item["state"]) for item in index] == [
        (name, "1", "READY") for name in MODELS
    ]


@pytest.mark.parametrize("rows", [1, 3, 70, 200])
def test_latents_become_the_images_of_the_generator(way: Way, generator: Generator, rows: int) -> None:
    images = way.infer("generator", {"z": latents(rows)}).as_numpy("image")
    assert images.dtype == np.uint8
    assert np.array_equal(images, generator(latents(rows)))


@pytest.mark.parametrize(("seed", "count", "start"), [(7, None, None), (7, 5, None), (LAST, 3, 2**40), (0, 1, LAST)])
def test_a_seed_gives_the_images_of_sample(
    way: Way, generator: Generator, seed: int, count: int | None, start: int | None
) -> None:
    images = way.infer("generator", seeded(seed, count, start), "image", model_version="1").as_numpy("image")
    assert np.array_equal(images, generator.sample(count or 1, seed=seed, start=start or 0))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
def test_any_integers_may_say_which_images(way: Way, generator: Generator, dtype: str) -> None:
    arrays: dict[str, Array] = {name: array.astype(dtype) for name, array in seeded(100, 2, 9).items()}
    assert np.array_equal(way.infer("generator", arrays).as_numpy("image"), generator.sample(2, seed=100, start=9))


def test_images_become_the_logits_and_features_of_the_discriminator(
    way: Way, generator: Generator, discriminator: Discriminator
) -> None:
    images = generator.sample(5, seed=1)
    result = way.infer("discriminator", {"image": images}, "features", "logit")
    assert names_of(result) == ["features", "logit"]
    assert np.array_equal(result.as_numpy("logit"), discriminator.score(images))
    assert np.array_equal(result.as_numpy("features"), discriminator.embed(images))


@pytest.mark.parametrize("names", [(), ("logit",), ("features",)])
def test_the_outputs_that_were_asked_for_come_or_all(way: Way, names: tuple[str, ...]) -> None:
    result = way.infer("discriminator", {"image": np.zeros((2, *IMAGE), np.uint8)}, *names)
    assert names_of(result) == list(names or ("logit", "features"))


def test_outputs_come_as_each_asks_for(http: Any, generator: Generator, discriminator: Discriminator) -> None:
    images = generator.sample(2, seed=3)
    outputs = [*asked(triton_http, "logit", binary=False), *asked(triton_http, "features", binary=True)]
    result = http.infer("discriminator", tensors(triton_http, {"image": images}), outputs=outputs)
    assert ["data" in result.get_output(name) for name in ("logit", "features")] == [True, False]
    assert np.array_equal(result.as_numpy("logit"), discriminator.score(images))
    assert np.array_equal(result.as_numpy("features"), discriminator.embed(images))


def test_the_id_comes_back(way: Way) -> None:
    result = way.infer("generator", seeded(1), request_id="käse-7%d")
    assert document_of(result)["id"] == "käse-7%d"


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compressed_requests_and_answers(way: Way, generator: Generator, algorithm: str) -> None:
    names = ("request_compression_algorithm", "response_compression_algorithm")
    said = dict.fromkeys(names if way.protocol is triton_http else ("compression_algorithm",), algorithm)
    images = way.infer("generator", seeded(5, 40), **said).as_numpy("image")
    assert np.array_equal(images, generator.sample(40, seed=5))


def test_many_requests_at_once(way: Way, generator: Generator) -> None:
    inputs = [tensors(way.protocol, seeded(2, 1, index), binary=way.binary) for index in range(20)]
    if way.protocol is triton_http:
        begun = [way.client.async_infer("generator", one) for one in inputs]
        results = [one.get_result() for one in begun]
    else:
        results = called_back(way.client, inputs)
    assert np.array_equal(np.concatenate([one.as_numpy("image") for one in results]), generator.sample(20, seed=2))


def test_statistics_count_requests_rows_and_failures(client: Any) -> None:
    way = Way(client, triton_http if isinstance(client, triton_http.InferenceServerClient) else triton_grpc)
    before = figures(client)
    way.infer("discriminator", {"image": np.zeros((3, *IMAGE), np.uint8)})
    with pytest.raises(InferenceServerException):
        way.infer("discriminator", {"image": np.zeros((201, *IMAGE), np.uint8)})
    after = figures(client)
    found = {key: after[key] - before[key] for key in after}
    assert 1 <= found.pop("runs") <= 3  # in how many batches is what the measured seconds say
    assert found == {"rows": 3, "success": 1, "fail": 1}
    (every, _) = client.get_inference_statistics(**words(client))["model_stats"]
    assert every["name"] == "generator"


def called_back(client: Any, requests: list[Any]) -> list[Any]:
    """The answers of gRPC's client, which calls back from threads of its own."""
    arrived: dict[int, queue.SimpleQueue[Any]] = {index: queue.SimpleQueue() for index in range(len(requests))}
    for index, inputs in enumerate(requests):
        client.async_infer("generator", inputs, lambda result, error, at=index: arrived[at].put(error or result))
    return [arrived[index].get(timeout=30) for index in arrived]


def figures(client: Any) -> dict[str, int]:
    (model,) = client.get_inference_statistics("discriminator", **words(client))["model_stats"]
    counts = {name: int(model["inference_stats"][name].get("count", 0)) for name in ("success", "fail")}
    return {**counts, "rows": int(model.get("inference_count", 0)), "runs": int(model.get("execution_count", 0))}


def document_of(result: Any) -> Any:
    said = {"as_json": True} if isinstance(result, triton_grpc.InferResult) else {}
    return result.get_response(**said)


def names_of(result: Any) -> list[str]:
    """The outputs of an answer, in their order."""
    return [output["name"] for output in document_of(result)["outputs"]]
