"""The generator: right images for any count, one line for bad input, many threads at once."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ganport_runtime import ClosedError, Generator, InputError, PlanError, latents
from ganport_runtime.backends.onnxruntime import OnnxRuntimeBackend, OnnxRuntimeSession
from ganport_runtime.batches import BUCKETS
from ganport_runtime.opening import Running
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.support.bundles import SOME_GRAPH, Weights

COUNTS = (0, 1, 2, 7, 63, 64, 65, 128, 131)


def assert_are(images: NDArray[np.uint8], exact: NDArray[np.float64]) -> None:
    """uint8 images are the rounded pixels; float32 may fall on the other side of a half."""
    assert images.dtype == np.uint8
    assert images.shape == exact.shape
    assert np.abs(images - exact).max(initial=0) < 0.501


def assert_alike(images: NDArray[np.uint8], others: NDArray[np.uint8]) -> None:
    """Equal but for the order of additions, which an engine may choose by the size of the batch."""
    assert images.shape == others.shape
    assert np.abs(images.astype(int) - others).max(initial=0) <= 1


@pytest.mark.parametrize("count", COUNTS)
def test_sample_gives_the_images_of_the_latents(generator: Generator, weights: Weights, count: int) -> None:
    assert_are(generator.sample(count, seed=5, start=9), weights.images(latents(5, 9, count, 12)))


@pytest.mark.parametrize("count", COUNTS)
def test_call_gives_the_images_of_ones_own_latents(generator: Generator, weights: Weights, count: int) -> None:
    z = np.random.default_rng(count).standard_normal((count, 12), np.float32)
    assert_are(generator(z), weights.images(z))


@given(st.lists(st.integers(0, 150), max_size=6), st.integers(0, 2**64 - 1))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_splitting_a_request_changes_no_image(generator: Generator, counts: list[int], seed: int) -> None:
    whole = generator.sample(sum(counts), seed=seed)
    start = 0
    for count in counts:
        part = generator.sample(count, seed=seed, start=start)
        assert_alike(part, whole[start : start + count])
        start += count


@pytest.mark.parametrize(("count", "batch"), [(0, 5), (1, 5), (10, 5), (11, 5), (130, 100), (70, 1000)])
def test_stream_gives_the_same_images_batch_by_batch(generator: Generator, count: int, batch: int) -> None:
    batches = list(generator.stream(count, seed=3, start=2, batch=batch))
    assert [len(images) for images in batches] == [min(batch, count - i) for i in range(0, count, batch)]
    if batches:
        assert_alike(np.concatenate(batches), generator.sample(count, seed=3, start=2))


def test_latents_that_are_not_contiguous_work(generator: Generator) -> None:
    z = np.random.default_rng(0).standard_normal((10, 24), np.float32)
    assert np.array_equal(generator(z[::2, ::2]), generator(z[::2, ::2].copy()))
    assert_alike(generator(z[:, :12][::-1]), generator(z[:, :12])[::-1])
    assert np.array_equal(generator(np.asfortranarray(z[:, :12])), generator(z[:, :12]))


def test_what_the_caller_does_with_images_changes_no_later_ones(generator: Generator) -> None:
    wanted = generator.sample(3, seed=1).copy()
    for _ in range(3):
        images = generator.sample(3, seed=1)
        assert np.array_equal(images, wanted)
        images[:] = 0


def bad(value: float) -> NDArray[np.float32]:
    z = np.zeros((5, 12), np.float32)
    z[3, 2] = value
    return z


@pytest.mark.parametrize(
    ("z", "message"),
    [
        (np.zeros((2, 11), np.float32), "z is float32 [2, 11], wanted float32 [n, 12]"),
        (np.zeros(12, np.float32), "z is float32 [12], wanted float32 [n, 12]"),
        (np.zeros((2, 3, 12), np.float32), "z is float32 [2, 3, 12], wanted"),
        (np.zeros((), np.float32), "z is float32 [], wanted float32 [n, 12]"),
        (np.zeros((2, 12)), "z is float64 [2, 12], wanted float32 [n, 12]"),
        (np.zeros((2, 12), np.float16), "z is float16"),
        (np.zeros((2, 12), ">f4"), "z is >f4"),
        (np.zeros((2, 12), np.int32), "z is int32"),
        (np.zeros((2, 12), object), "z is object"),
        ([[0.0] * 12], "z is list, wanted a numpy array float32 [n, 12]"),
        (None, "z is NoneType"),
        (bad(np.nan), "z holds NaN or infinity, first in row 3; wanted finite numbers"),
        (bad(np.inf), "z holds NaN or infinity, first in row 3"),
        (bad(-np.inf), "z holds NaN or infinity, first in row 3"),
    ],
)
def test_bad_latents_are_named(generator: Generator, z: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        generator(z)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": -1}, "count is -1, wanted 0 to 2^64"),
        ({"count": 2.0}, "count is 2.0, wanted a whole number"),
        ({"count": True}, "count is True, wanted a whole number"),
        ({"count": "2"}, "count is '2', wanted a whole number"),
        ({"count": 1, "seed": -1}, "seed is -1, wanted 0 to 2^64 - 1"),
        ({"count": 100, "seed": 2**64}, "wanted 0 to 2^64 - 1"),
        ({"count": 1, "start": -3}, "start is -3"),
        ({"count": 2, "start": 2**64 - 1}, "go past the last image"),
    ],
)
def test_bad_counts_are_named(generator: Generator, arguments: dict[str, Any], message: str) -> None:
    for method in (generator.sample, generator.stream):
        with pytest.raises(InputError) as caught:
            method(**arguments)
        assert message in str(caught.value)


def test_more_images_than_memory_holds_are_refused(generator: Generator) -> None:
    with pytest.raises(InputError, match=r"does not fit in memory; ask for fewer at a time, or use stream\(\)"):
        generator.sample(2**50)


def test_a_closed_generator_says_so(bundle: Path) -> None:
    generator = Generator.open(bundle)
    started = generator.stream(100, batch=10)
    next(started)
    generator.close()
    generator.close()
    uses: list[Callable[[], object]] = [
        lambda: generator.sample(1),
        lambda: generator.sample(0),
        lambda: generator.sample(100),
        lambda: generator(np.zeros((1, 12), np.float32)),
        lambda: generator.stream(5),
        lambda: next(started),
    ]
    for use in uses:
        with pytest.raises(ClosedError, match=r"this generator of .* is closed; open the bundle again"):
            use()
    assert issubclass(ClosedError, RuntimeError)
    assert issubclass(InputError, ValueError)
    assert generator.plan.provider == "CPUExecutionProvider"
    assert "closed" in repr(generator)


def test_threads_get_their_own_images(generator: Generator) -> None:
    jobs = [(seed, count) for seed in range(4) for count in (1, 5, 70)] * 6
    wanted = {job: generator.sample(job[1], seed=job[0]) for job in set(jobs)}
    with ThreadPoolExecutor(4) as pool:
        results = pool.map(lambda job: generator.sample(job[1], seed=job[0]), jobs)
        for job, images in zip(jobs, results, strict=True):
            assert np.array_equal(images, wanted[job])


def test_closing_while_another_thread_runs_is_safe(bundle: Path) -> None:
    generator = Generator.open(bundle)
    wanted = generator.sample(65, seed=2)
    ready, outcomes = threading.Event(), []

    def work() -> None:
        try:
            while True:
                outcomes.append(np.array_equal(generator.sample(65, seed=2), wanted))
                ready.set()
        except ClosedError:
            outcomes.append(True)
            ready.set()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert ready.wait(60)
    generator.close()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert all(outcomes)


class PaddedSession(OnnxRuntimeSession):
    """A real session that asks for full buckets, as devices with fixed shapes do, and notes what it was given."""

    def __init__(self, session: Any) -> None:
        super().__init__(session, "CPUExecutionProvider", "cpu")
        self.pads_to_bucket = True
        self.batches: list[int] = []

    def run(self, outputs: Any, inputs: Any) -> list[NDArray[Any]]:
        self.batches.append(len(inputs["z"]))
        return super().run(outputs, inputs)


@pytest.mark.parametrize("count", COUNTS)
def test_a_session_of_fixed_batches_gets_whole_buckets(bundle: Path, weights: Weights, count: int) -> None:
    import onnxruntime  # type: ignore[import-untyped]

    plain = Generator.open(bundle)
    model = plain.bundle.read(plain.bundle.variants("generator")[0])
    session = PaddedSession(onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]))
    generator = Generator(plain.bundle, dict.fromkeys(BUCKETS, Running(plain.plan, session)))
    assert_are(generator.sample(count, seed=1), weights.images(latents(1, 0, count, 12)))
    assert set(session.batches) <= set(BUCKETS)
    assert count <= sum(session.batches) < count + 64
    assert len(session.batches) == -(-count // 64)


def test_an_engine_that_fails_says_why_in_one_line(bundle: Path) -> None:
    opened = Generator.open(bundle)
    model = opened.bundle.read(opened.bundle.variants("generator")[0])
    session = OnnxRuntimeBackend().open(model, entry=SOME_GRAPH, device="cpu", threads=1)
    with pytest.raises(PlanError, match="onnxruntime failed on CPUExecutionProvider: ") as caught:
        session.run(("image",), {"z": np.zeros((1, 13), np.float32)})
    assert "\n" not in str(caught.value)
