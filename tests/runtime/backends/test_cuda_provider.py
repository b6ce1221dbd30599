"""The CUDA provider, on a machine that has an NVIDIA GPU and onnxruntime-gpu."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import pytest
from ganport_runtime import Bundle, ClosedError, Discriminator, Generator, PlanError
from ganport_runtime.backends import Session, cuda
from ganport_runtime.backends.onnxruntime import CUDA_OPTIONS, OnnxRuntimeBackend
from ganport_runtime.batches import BUCKETS
from ganport_runtime.latents import latents

GRAPHS: list[Mapping[str, str]] = [{"cuda_graph": "off"}, {"cuda_graph": "on"}]


@pytest.fixture
def gpu() -> None:
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("the installed onnxruntime has no CUDAExecutionProvider")
    if cuda.refusal() is not None:
        pytest.skip(str(cuda.refusal()))


def opened(bundle: Path, options: Mapping[str, str], device: str = "cuda") -> Session:
    described = Bundle.open(bundle)
    (entry,) = described.variants("generator")
    return OnnxRuntimeBackend().open(described.read(entry), entry=entry, device=device, threads=None, options=options)


class FallingBack:
    """onnxruntime-gpu that cannot load its provider and takes the CPU; `tells` is what it prints of libraries."""

    def __init__(self, tells: str) -> None:
        self.tells, self.loads = tells, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(onnxruntime, name)

    def preload_dlls(self) -> None:
        self.loads += 1
        print(self.tells, end="")

    def InferenceSession(self, model: Any, settings: Any, **_: Any) -> Any:  # noqa: N802
        return onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])


class Raising(FallingBack):
    """It raises instead."""

    def InferenceSession(self, model: Any, settings: Any, **_: Any) -> Any:  # noqa: N802
        raise RuntimeError("no\nCUDA")


class Older(FallingBack):
    """It knows nothing of NVIDIA's wheels."""

    preload_dlls = None  # type: ignore[assignment]


FELL_BACK = "onnxruntime reports CPUExecutionProvider where CUDAExecutionProvider was asked for: it could not be loaded"


@pytest.mark.parametrize(
    ("library", "reason"),
    [
        (
            FallingBack("Failed to load libcudnn.so.9:\nnot there\n"),
            f"{FELL_BACK}; Failed to load libcudnn.so.9: not there",
        ),
        (Raising("Failed to load it\n"), f"onnxruntime {onnxruntime.__version__}: no CUDA; Failed to load it"),
        (FallingBack(""), FELL_BACK),
        (Older("never"), FELL_BACK),
    ],
)
def test_what_of_cuda_cannot_be_loaded_is_told_in_the_error(
    bundle: Path, library: FallingBack, reason: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ganport_runtime.backends.onnxruntime._library", lambda: library)
    for _ in range(2):
        with pytest.raises(PlanError) as caught:
            opened(bundle, {})
        assert str(caught.value) == reason
    assert library.loads == (0 if isinstance(library, Older) else 1)
    assert capsys.readouterr().out == "", "stdout is the program's"


def test_the_cpu_loads_nothing_of_cuda(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = FallingBack("never")
    monkeypatch.setattr("ganport_runtime.backends.onnxruntime._library", lambda: library)
    opened(bundle, {}, device="cpu").close()
    assert library.loads == 0


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
