"""The Python models on the real Triton server: the very images of `Generator`, alone and merged with others'."""

import json
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc  # type: ignore[import-untyped]
import tritonclient.http as triton_http  # type: ignore[import-untyped]
from ganport_runtime import Discriminator, Generator
from numpy.typing import NDArray
from triton_server import TritonError, find_tritonserver, running
from tritonclient.utils import InferenceServerException, np_to_triton_dtype  # type: ignore[import-untyped]

from tests.serve.triton.conftest import Served

pytestmark = pytest.mark.slow  # starts the real server
GENERATOR, DISCRIMINATOR = "ganport_generator", "ganport_discriminator"
BUCKETS = {1, 2, 4, 8, 16, 32, 64}
LAST = 2**64 - 1
PROTOCOLS = pytest.mark.parametrize("protocol", [triton_http, triton_grpc], ids=["http", "grpc"])
ROUNDS = 50  # of concurrent requests; two of them merge in the first already, unless the machine stands still

Array = NDArray[Any]


def tensors(protocol: Any, arrays: dict[str, Array]) -> list[Any]:
    made = []
    for name, array in arrays.items():
        tensor = protocol.InferInput(name, array.shape, np_to_triton_dtype(array.dtype))
        tensor.set_data_from_numpy(array)
        made.append(tensor)
    return made


def infer(served: Served, protocol: Any, model: str, *outputs: str, **arrays: Array) -> list[Array]:
    client = served.http if protocol is triton_http else served.grpc
    result = client.infer(model, tensors(protocol, arrays))
    return [result.as_numpy(output) for output in outputs]


def column(*numbers: int) -> Array:
    return np.array(numbers, np.uint64)[:, None]


def latents(rows: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal((rows, 10), np.float32)


@PROTOCOLS
@pytest.mark.parametrize("rows", [1, 3, 64])
def test_latents_become_the_images_of_the_generator(
    served: Served, generator: Generator, protocol: Any, rows: int
) -> None:
    (images,) = infer(served, protocol, GENERATOR, "image", z=latents(rows))
    assert images.dtype == np.uint8
    assert np.array_equal(images, generator(latents(rows)))


@PROTOCOLS
def test_every_row_is_the_image_of_its_seed_and_index(served: Served, generator: Generator, protocol: Any) -> None:
    seeds, indices = (7, 7, 7, 3, LAST, LAST, 7), (4, 5, 6, 0, LAST, 0, 5)
    (images,) = infer(served, protocol, GENERATOR, "image", seed=column(*seeds), index=column(*indices))
    wanted = [generator.sample(1, seed=seed, start=index)[0] for seed, index in zip(seeds, indices, strict=True)]
    assert np.array_equal(images, wanted)


def test_a_seed_without_an_index_is_its_first_image(served: Served, generator: Generator) -> None:
    (images,) = infer(served, triton_http, GENERATOR, "image", seed=column(8, 9))
    assert np.array_equal(images, [generator.sample(1, seed=seed)[0] for seed in (8, 9)])


@PROTOCOLS
def test_images_become_the_logits_and_features_of_the_discriminator(
    served: Served, generator: Generator, discriminator: Discriminator, protocol: Any
) -> None:
    images = generator.sample(5, seed=1)
    logits, features = infer(served, protocol, DISCRIMINATOR, "logit", "features", image=images)
    assert np.array_equal(logits, discriminator.score(images)[:, None])
    assert np.array_equal(features, discriminator.embed(images))


def test_plain_json_serves_too(served: Served, generator: Generator) -> None:
    seed = {"name": "seed", "datatype": "UINT64", "shape": [1, 1], "data": [21]}
    url = f"http://{served.addresses.http}/v2/models/{GENERATOR}/infer"
    with urllib.request.urlopen(url, json.dumps({"inputs": [seed]}).encode()) as response:
        (output,) = json.load(response)["outputs"]
    assert np.array_equal(np.reshape(output["data"], output["shape"]), generator.sample(1, seed=21))


def test_concurrent_requests_are_merged_and_each_gets_its_own_answer(served: Served, generator: Generator) -> None:
    """One of them is wrong in each round: it is refused alone."""
    before = served.statistics(GENERATOR)
    for first in range(0, ROUNDS * 48, 48):
        check_a_round(served, generator, range(first, first + 48))
        after = served.statistics(GENERATOR)
        requests, runs = (gained(before, after, "inference_stats", "success", "count"), gained(before, after, "runs"))
        if runs < requests:
            return
    pytest.fail(f"{requests} requests took {runs} runs of the engine: none were merged")


def gained(before: Any, after: Any, *path: str) -> int:
    if path == ("runs",):
        return int(after["execution_count"]) - int(before["execution_count"])
    for key in path:
        before, after = before[key], after[key]
    return int(after) - int(before)


def check_a_round(served: Served, generator: Generator, seeds: range) -> None:
    def ask(seed: int) -> None:
        rows = seed % 3 + 1
        if seed == seeds.start + 20:
            with pytest.raises(InferenceServerException, match="NaN"):
                infer(served, triton_grpc, GENERATOR, "image", z=np.full((1, 10), np.nan, np.float32))
        elif seed % 2:
            (images,) = infer(served, triton_grpc, GENERATOR, "image", z=latents(rows, seed))
            assert np.array_equal(images, generator(latents(rows, seed)))
        else:
            indices = column(*range(rows))
            arrays = {"seed": np.full_like(indices, seed), "index": indices}
            (images,) = infer(served, triton_grpc, GENERATOR, "image", **arrays)
            assert np.array_equal(images, generator.sample(rows, seed=seed))

    with ThreadPoolExecutor(16) as clients:
        list(clients.map(ask, seeds))


@pytest.mark.parametrize("model", [GENERATOR, DISCRIMINATOR])
def test_every_bucket_was_run_before_the_model_was_ready(served: Served, model: str) -> None:
    statistics = served.first_statistics[model]
    assert {int(batch["batch_size"]) for batch in statistics["batch_stats"]} == BUCKETS


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"z": latents(2) * np.float32(np.inf)}, "z holds NaN or infinity, first in row 0"),
        ({"z": latents(1), "seed": column(1)}, "wanted either z, or seed with or without index"),
        ({"index": column(1)}, "wanted either z, or seed with or without index"),
        ({"z": latents(65)}, "batch-size must be <= 64"),
        ({"z": np.zeros((1, 11), np.float32)}, "unexpected shape for input 'z'"),
        ({"seed": column(1), "index": column(1, 2)}, "batch size does not match other inputs"),
    ],
)
def test_a_wrong_request_is_refused_in_words(served: Served, arrays: dict[str, Array], message: str) -> None:
    with pytest.raises(InferenceServerException, match=message) as refusal:
        infer(served, triton_http, GENERATOR, "image", **arrays)
    assert refusal.value.status() == "400"
    assert "Traceback" not in str(refusal.value)
    assert ".py" not in str(refusal.value)


def test_the_runtime_and_the_bundle_of_the_repository_run(served: Served) -> None:
    log = served.addresses.log.read_text(encoding="utf-8")
    for model in (GENERATOR, DISCRIMINATOR):
        folder = served.repository / model / "1"
        (line,) = [line for line in log.splitlines() if f"{model}_0_0: <" in line]
        assert f" of {folder / 'bundle.ganport'}: " in line
        assert line.rstrip('"').endswith(f" in {folder / 'ganport_runtime'}")


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    reason = find_tritonserver()
    if isinstance(reason, str):
        pytest.skip(reason)
    with (
        pytest.raises(TritonError, match=r"exit code 1: (.|\n)*failed to stat file \S+nowhere$"),
        running(tmp_path / "nowhere"),
    ):
        pytest.fail("it started")
