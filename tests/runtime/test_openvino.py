"""The openvino backend: right images whatever the options, and every option read back."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ganport_runtime import BundleError, ClosedError, Discriminator, Generator, PlanError, latents
from ganport_runtime.backends.openvino import CompiledModel, OpenVinoBackend, OpenVinoSession, openvino_core, shares

from tests.support.bundles import (
    SOME_GRAPH,
    Weights,
    discriminator_graph,
    generator_graph,
    int8_generator_graph,
    make_weights,
)

HAS_BF16 = "BF16" in openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
OPTION_SETS: list[dict[str, str]] = [
    {},
    {"threads": "1"},
    {"streams": "2"},
    {"mode": "throughput"},
    {"mode": "latency", "shape": "dynamic"},
    {"streams": "2", "shape": "dynamic"},
]


@pytest.fixture(scope="module")
def graph() -> bytes:
    data: bytes = generator_graph(make_weights()).SerializeToString()
    return data


def opened(graph: bytes, precision: str = "fp32", **options: str) -> OpenVinoSession:
    entry = replace(SOME_GRAPH, precision=precision)
    return OpenVinoBackend().open(graph, entry=entry, device="cpu", threads=None, options=options)


@pytest.mark.parametrize("options", OPTION_SETS)
def test_every_option_set_gives_the_images_of_the_latents(
    graph: bytes, weights: Weights, options: dict[str, str]
) -> None:
    session = opened(graph, **options)
    assert session.precision == "fp32"
    for count in (1, 2, 3, 7, 8, 33, 64):
        z = latents(4, 0, count, 12)
        (images,) = session.run(("image",), {"z": z})
        assert images.dtype == np.uint8
        assert np.abs(images - weights.images(z)).max() < 0.501


def test_scores_and_features_are_those_of_the_weights(bundle: Path, weights: Weights) -> None:
    images = np.random.default_rng(0).integers(0, 256, (70, 16, 16, 3), np.uint8)
    with Discriminator.open(bundle, backend="openvino", threads=1) as discriminator:
        np.testing.assert_allclose(discriminator.score(images), weights.score(images), rtol=1e-3, atol=1e-3)
        vectors = discriminator.embed(images)
        np.testing.assert_allclose(vectors, weights.embed(images), rtol=1e-3, atol=1e-3)
        kept = vectors.copy()
        discriminator.score(images[:64])
        assert np.array_equal(vectors, kept)  # what was handed out is the caller's own


@pytest.mark.parametrize("streams", ["1", "2"])
def test_threads_get_their_own_images(graph: bytes, streams: str) -> None:
    session = opened(graph, streams=streams)
    batches = [latents(seed, 0, count, 12) for seed in range(4) for count in (1, 5, 64)] * 8
    wanted = [session.run(("image",), {"z": z})[0] for z in batches]
    with ThreadPoolExecutor(4) as pool:
        results = pool.map(lambda z: session.run(("image",), {"z": z})[0], batches)
        for images, right in zip(results, wanted, strict=True):
            assert np.array_equal(images, right)


def test_bf16_is_never_called_fp32(graph: bytes) -> None:
    """Left alone the library takes bf16 wherever the processor has it; here it is asked for or not had."""
    if HAS_BF16:
        assert opened(graph, precision_hint="bf16").precision == "bf16"
    else:
        with pytest.raises(PlanError, match="computes in f32 where bf16 was asked for"):
            opened(graph, precision_hint="bf16")


@pytest.mark.skipif(not HAS_BF16, reason="this processor has no bf16")
def test_bf16_is_a_precision_that_can_be_asked_for(bundle: Path) -> None:
    with Generator.open(bundle, precision="bf16") as generator:
        assert (generator.plan.precision, generator.plan.backend) == ("bf16", "openvino")
        assert generator.plan.variant == "generator-deconv-fp32"
    with Generator.open(bundle, precision="fp32", backend="openvino") as generator:
        assert generator.plan.precision == "fp32"


def test_int8_layers_are_seen_to_be_int8(weights: Weights) -> None:
    session = opened(int8_generator_graph(weights).SerializeToString(), precision="int8")
    assert session.precision == "int8"
    z = latents(0, 0, 64, 12)
    (images,) = session.run(("image",), {"z": z})
    assert np.abs(images - weights.images(z)).mean() < 2


@pytest.mark.parametrize(("made", "said"), [("fp32", "int8"), ("int8", "fp32")])
def test_a_graph_that_is_not_executed_as_it_says_is_refused(weights: Weights, made: str, said: str) -> None:
    model = generator_graph(weights) if made == "fp32" else int8_generator_graph(weights)
    with pytest.raises(PlanError, match=f"executes the {said} graph some-graph in {made}"):
        opened(model.SerializeToString(), precision=said)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stream": "2"}, "openvino has no option 'stream', wanted threads, streams, mode, precision_hint, shape"),
        ({"mode": "fast"}, "openvino option mode is 'fast', wanted latency or throughput"),
        ({"precision_hint": "f16"}, "openvino option precision_hint is 'f16', wanted f32 or bf16"),
        ({"threads": "0"}, "option threads is '0', wanted a whole number from 1 to 1024"),
        ({"threads": "-1"}, "openvino option threads is '-1'"),
        ({"streams": "2.5"}, "openvino option streams is '2.5'"),
        ({"streams": "99999999999999"}, "openvino option streams is '99999999999999'"),
        ({"threads": "1024"}, "openvino set INFERENCE_NUM_THREADS to"),
        ({"threads": "1", "streams": "2"}, "openvino set NUM_STREAMS to 1 where 2 was asked for"),
    ],
)
def test_options_that_are_unknown_or_not_taken_are_refused(graph: bytes, options: dict[str, str], message: str) -> None:
    with pytest.raises(PlanError) as caught:
        opened(graph, **options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_graph_is_refused_in_one_line() -> None:
    for model in (b"", b"no graph", discriminator_graph(make_weights()).SerializeToString()[:300]):
        with pytest.raises((BundleError, PlanError), match=r"^openvino ") as caught:
            opened(model)
        assert "\n" not in str(caught.value)


def test_a_batch_of_another_width_is_refused_in_one_line(graph: bytes) -> None:
    session = opened(graph)
    for count in (1, 3):
        with pytest.raises(PlanError, match="openvino failed on CPU: ") as caught:
            session.run(("image",), {"z": np.zeros((count, 13), np.float32)})
        assert "\n" not in str(caught.value)
        assert session.run(("image",), {"z": np.zeros((count, 12), np.float32)})[0].shape == (count, 16, 16, 3)


@pytest.mark.parametrize("options", [{}, {"streams": "2"}])
def test_infer_requests_are_given_back_after_failures(
    graph: bytes, options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    create = CompiledModel.create_request

    def counted(model: CompiledModel) -> object:
        made.append(create(model))
        return made[-1]

    monkeypatch.setattr(CompiledModel, "create_request", counted)
    session = opened(graph, **options)
    z = latents(4, 0, 64, 12)
    (before,) = session.run(("image",), {"z": z})
    needed = len(made)
    for _ in range(3):
        with pytest.raises(PlanError):
            session.run(("image",), {"z": np.zeros((64, 11), np.float32)})
    (after,) = session.run(("image",), {"z": z})
    assert len(made) == needed
    assert (after == before).all()


def test_a_closed_session_says_so(graph: bytes) -> None:
    session = opened(graph)
    session.close()
    session.close()
    for count in (1, 2):
        with pytest.raises(ClosedError):
            session.run(("image",), {"z": np.zeros((count, 12), np.float32)})


def test_being_asked_imports_nothing(bundle: Path) -> None:
    code = (
        f"import sys; from ganport_runtime import Generator; Generator.open({str(bundle)!r}, device='cpu')\n"
        "print([name for name in ('openvino', 'tensorrt_rtx', 'importlib.metadata') if name in sys.modules])"
    )
    assert in_python(code) == "[]"


@pytest.mark.slow
def test_it_writes_and_sends_nothing(bundle: Path, tmp_path: Path) -> None:
    """Left alone the library reports its import to a server and leaves files at home."""
    code = (
        "import socket\n"
        "def refuse(*_): raise SystemExit('a socket was opened')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from ganport_runtime import Generator\n"
        f"print(Generator.open({str(bundle)!r}, backend='openvino').sample(2).shape)"
    )
    assert in_python(code, HOME=str(tmp_path)) == "(2, 16, 16, 3)"
    assert list(tmp_path.iterdir()) == []


def in_python(code: str, **environment: str) -> str:
    """What a fresh interpreter prints, which takes every warning for an error."""
    import os

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True, text=True, check=False, env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("count", "streams", "sizes"), [(64, 3, [22, 22, 20]), (64, 2, [32, 32]), (15, 2, [15]), (1, 1, [1]), (9, 1, [9])]
)
def test_a_batch_is_shared_evenly_where_each_stream_gets_enough(count: int, streams: int, sizes: list[int]) -> None:
    found = shares(count, streams)
    assert [part.stop - part.start for part in found] == sizes
    assert found[-1].stop == count


@pytest.mark.parametrize("options", [{"streams": "2"}, {"mode": "throughput", "shape": "dynamic"}])
def test_a_batch_makes_the_same_bytes_split_over_streams_or_not(graph: bytes, options: dict[str, str]) -> None:
    plain, split = opened(graph), opened(graph, **options)
    for count in (1, 15, 16, 17, 64):
        z = latents(5, 0, count, 12)
        assert np.array_equal(split.run(("image",), {"z": z})[0], plain.run(("image",), {"z": z})[0])
