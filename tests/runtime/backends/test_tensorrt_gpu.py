"""Engines that run, where there is an NVIDIA GPU: against ONNX Runtime on the CPU on the graph they were built of."""

import gc
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from ganport_runtime import Bundle, ClosedError, Generator, PlanError
from ganport_runtime.backends import Session, cuda, load_backend
from ganport_runtime.batches import BUCKETS
from ganport_runtime.latents import latents
from numpy.typing import NDArray

from tests.support.engine_bundles import make_engine_bundle
from tests.support.typed_graphs import LATENT, source

pytestmark = pytest.mark.gpu

SUPPORTED = ("8.0", "8.6", "8.9", "12.0", "12.1")  # TensorRT-RTX has to run on these; on others it may
PRECISIONS = ("fp32", "fp16", "int8")
GRAPHS = ("on", "off")
MOST_OFF = {"fp32": 1, "fp16": 4, "int8": 24}  # of 255; an int8 value that is rounded the other way is a step off
MEAN_OFF = {"fp32": 0.05, "fp16": 0.5, "int8": 1.5}
BACKEND = load_backend("tensorrt")

Images = NDArray[np.uint8]


@pytest.fixture(scope="session")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with an engine of each precision, built for this GPU too where the library does not know it yet."""
    if cuda.refusal() is not None:
        pytest.skip(str(cuda.refusal()))
    pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")
    from ganport_export.engines import Target, build_engines

    sources = [source("deconv", "fp32"), source("deconv", "fp16"), source("phase", "s8s8")]
    built = build_engines(sources, ["tensorrt-rtx"], pytest.fail, target=Target(hardware_compatible=True))
    bundle = make_engine_bundle(tmp_path_factory.mktemp("gpu") / "engines.ganport", sources, built)
    capability = cuda.compute_capability()
    try:
        opened(bundle, "fp32", "off").close()
    except PlanError as error:
        if capability in SUPPORTED:
            raise
        pytest.skip(f"tensorrt-rtx does not run on compute capability {capability}: {error}")
    return bundle


def opened(path: Path, precision: str, cuda_graph: str) -> Session:
    bundle = Bundle.open(path)
    entry = next(engine for engine in bundle.manifest.engines if engine.precision == precision)
    options = {"cuda_graph": cuda_graph}
    return BACKEND.open(bundle.read(entry), entry=entry, device="cuda", threads=None, options=options)


@pytest.fixture
def on_cpu(path: Path) -> Iterator[Mapping[str, Generator]]:
    """The graphs of the same bundle, by ONNX Runtime on the CPU."""
    generators = {
        precision: Generator.open(path, device="cpu", backend="onnxruntime", precision=precision)
        for precision in PRECISIONS
    }
    yield generators
    for generator in generators.values():
        generator.close()


def assert_near(images: Images, wanted: Images, precision: str) -> None:
    assert images.dtype == np.uint8
    assert images.shape == wanted.shape
    off = np.abs(images.astype(int) - wanted)
    assert off.max(initial=0) <= MOST_OFF[precision]
    assert off.size == 0 or off.mean() <= MEAN_OFF[precision]


@pytest.mark.parametrize("cuda_graph", GRAPHS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_bucket_gives_the_images_of_the_cpu_again_and_again(
    path: Path, on_cpu: Mapping[str, Generator], precision: str, cuda_graph: str
) -> None:
    session = opened(path, precision, cuda_graph)
    assert session.precision == precision
    for seed in range(3):  # the first batch of a bucket is run plainly, then recorded; later ones replay
        for bucket in BUCKETS:
            z = latents(seed, 0, bucket, LATENT)
            (images,) = session.run(("image",), {"z": z})
            assert_near(images, on_cpu[precision](z), precision)
    session.close()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_cuda_graphs_change_nothing(path: Path, precision: str) -> None:
    sessions = [opened(path, precision, cuda_graph) for cuda_graph in GRAPHS]
    for bucket in BUCKETS:
        z = latents(5, 0, bucket, LATENT)
        with_graph, without = (session.run(("image",), {"z": z})[0] for session in sessions)
        assert np.array_equal(with_graph, without)
    for session in sessions:
        session.close()


@pytest.mark.parametrize("count", [0, 1, 3, 7, 33, 64, 65, 131])
def test_any_count_runs_through_the_generator(path: Path, on_cpu: Mapping[str, Generator], count: int) -> None:
    with Generator.open(path, backend="tensorrt", precision="fp32") as generator:
        assert generator.plan.backend == "tensorrt"
        assert generator.plan.provider.startswith("tensorrt_rtx ")
        assert_near(generator.sample(count, seed=9), on_cpu["fp32"].sample(count, seed=9), "fp32")


def test_results_are_the_callers_own(path: Path) -> None:
    session = opened(path, "fp32", "on")
    (first,) = session.run(("image",), {"z": latents(1, 0, 4, LATENT)})
    kept = first.copy()
    session.run(("image",), {"z": latents(2, 0, 4, LATENT)})
    assert np.array_equal(first, kept)
    session.close()
    assert np.array_equal(first, kept)


@pytest.mark.parametrize("cuda_graph", GRAPHS)
def test_threads_get_the_images_of_their_own_latents(path: Path, cuda_graph: str) -> None:
    session = opened(path, "fp16", cuda_graph)
    batches = {seed: latents(seed, 0, 2**seed, LATENT) for seed in range(5)}
    wanted = {seed: opened_once(path, z) for seed, z in batches.items()}
    right: list[bool] = []

    def work(seed: int) -> None:
        for _ in range(20):
            right.append(np.array_equal(session.run(("image",), {"z": batches[seed]})[0], wanted[seed]))  # noqa: PERF401

    threads = [threading.Thread(target=work, args=(seed,)) for seed in [*batches, *batches]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    session.close()
    assert len(right) == 20 * len(threads)
    assert all(right)


def opened_once(path: Path, z: NDArray[np.float32]) -> Images:
    session = opened(path, "fp16", "off")
    images: Images = session.run(("image",), {"z": z})[0]
    session.close()
    return images


def test_a_closed_session_gives_its_memory_back(path: Path) -> None:
    free: list[int] = []
    for _ in range(4):
        session = opened(path, "fp32", "on")
        for bucket in BUCKETS:
            session.run(("image",), {"z": latents(1, 0, bucket, LATENT)})
        session.close()
        free.append(cuda_free())
        with pytest.raises(ClosedError):
            session.run(("image",), {"z": latents(1, 0, 1, LATENT)})
        session.close()
    assert free[-1] >= free[1]  # what the driver and the library keep for themselves, they took at first


def cuda_free() -> int:
    gc.collect()  # contexts and engines go with the last reference to them
    return int(cuda.call("cudaMemGetInfo"))
