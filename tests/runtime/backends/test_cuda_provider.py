"""The CUDA provider, on a machine that has an NVIDIA GPU and onnxruntime-gpu."""

import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import pytest
from ganport_runtime import Bundle, ClosedError, Discriminator, Generator
from ganport_runtime.backends import Session, cuda, load_backend
from ganport_runtime.backends.onnxruntime import CUDA_OPTIONS, OnnxRuntime
from ganport_runtime.buckets import BUCKETS
from ganport_runtime.latents import latents

GRAPHS: list[Mapping[str, str]] = [{"cuda_graph": "off"}, {"cuda_graph": "on"}]


@pytest.fixture
def gpu() -> None:
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("the installed onnxruntime has no CUDAExecutionProvider")
    if cuda.refusal() is not None:
        pytest.skip(str(cuda.refusal()))


def opened(bundle: Path, options: Mapping[str, str]) -> Session:
    described = Bundle.open(bundle)
    (entry,) = described.variants("generator")
    return OnnxRuntime().open(described.read(entry), entry=entry, device="cuda", threads=None, options=options)


def test_cuda_graphs_are_a_choice_of_the_gpu_alone(bundle: Path) -> None:
    (entry,) = Bundle.open(bundle).variants("generator")
    backend = load_backend("onnxruntime")
    assert list(backend.choices(entry, "cuda")) == GRAPHS
    assert all("cuda_graph" not in choice for choice in backend.choices(entry, "cpu"))


@pytest.mark.gpu
@pytest.mark.usefixtures("gpu")
def test_the_gpu_gives_the_images_of_the_cpu(bundle: Path) -> None:
    with Generator.open(bundle, device="cuda") as on_gpu, Generator.open(bundle, device="cpu") as on_cpu:
        assert on_gpu.plan.provider == "CUDAExecutionProvider"
        assert on_gpu.plan.options == {**CUDA_OPTIONS, "cuda_graph": "off"}
        for count in (0, 1, 7, 64, 131):
            difference = on_gpu.sample(count, seed=3).astype(int) - on_cpu.sample(count, seed=3)
            assert np.abs(difference).max(initial=0) <= 1


@pytest.mark.gpu
@pytest.mark.usefixtures("gpu")
def test_the_gpu_gives_the_features_of_the_cpu(bundle: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (70, 16, 16, 3), np.uint8)
    with Discriminator.open(bundle, device="cuda") as on_gpu, Discriminator.open(bundle, device="cpu") as on_cpu:
        np.testing.assert_allclose(on_gpu.embed(images), on_cpu.embed(images), atol=1e-4)
        np.testing.assert_allclose(on_gpu.score(images), on_cpu.score(images), atol=1e-4)


@pytest.mark.gpu
@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("options", GRAPHS)
def test_every_bucket_gives_the_images_of_the_cpu_again_and_again(bundle: Path, options: Mapping[str, str]) -> None:
    session = opened(bundle, options)
    with Generator.open(bundle, device="cpu") as on_cpu:
        for seed in range(3):  # a CUDA graph is recorded at the first and replayed at the others
            for bucket in BUCKETS:
                z = latents(seed, 0, bucket, on_cpu.latent_dim)
                (images,) = session.run(("image",), {"z": z})
                assert images.dtype == np.uint8
                assert np.abs(images.astype(int) - on_cpu(z)).max() <= 1
    session.close()
    with pytest.raises(ClosedError):
        session.run(("image",), {"z": latents(0, 0, 1, 12)})


@pytest.mark.gpu
@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("options", GRAPHS)
def test_threads_get_the_images_of_their_own_latents(bundle: Path, options: Mapping[str, str]) -> None:
    session = opened(bundle, options)
    batches = {seed: latents(seed, 0, 8, 12) for seed in range(4)}
    wanted = {seed: session.run(("image",), {"z": z})[0] for seed, z in batches.items()}
    right: list[bool] = []

    def work(seed: int) -> None:
        for _ in range(20):
            right.append(np.array_equal(session.run(("image",), {"z": batches[seed]})[0], wanted[seed]))  # noqa: PERF401

    threads = [threading.Thread(target=work, args=(seed,)) for seed in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    session.close()
    assert len(right) == 20 * len(threads)
    assert all(right)
