"""The CUDA provider, on a machine that has an NVIDIA GPU and onnxruntime-gpu."""

from pathlib import Path

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import pytest
from ganport_runtime import Discriminator, Generator
from ganport_runtime.backends.onnxruntime import CUDA_OPTIONS
from ganport_runtime.host import this_host


@pytest.fixture(autouse=True)
def gpu() -> None:
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("the installed onnxruntime has no CUDAExecutionProvider")
    if not this_host().gpus:
        pytest.skip(f"no NVIDIA GPU: {this_host().gpu_note}")


@pytest.mark.gpu
def test_the_gpu_gives_the_images_of_the_cpu(bundle: Path) -> None:
    with Generator.open(bundle, device="cuda") as on_gpu, Generator.open(bundle, device="cpu") as on_cpu:
        assert on_gpu.plan.provider == "CUDAExecutionProvider"
        assert on_gpu.plan.options == CUDA_OPTIONS
        for count in (0, 1, 7, 64, 131):
            difference = on_gpu.sample(count, seed=3).astype(int) - on_cpu.sample(count, seed=3)
            assert np.abs(difference).max(initial=0) <= 1


@pytest.mark.gpu
def test_the_gpu_gives_the_features_of_the_cpu(bundle: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (70, 16, 16, 3), np.uint8)
    with Discriminator.open(bundle, device="cuda") as on_gpu, Discriminator.open(bundle, device="cpu") as on_cpu:
        np.testing.assert_allclose(on_gpu.embed(images), on_cpu.embed(images), atol=1e-4)
