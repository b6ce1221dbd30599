"""Calls of the CUDA runtime: an error is never passed over, with a GPU or without."""

import importlib.util
import sys

import pytest
from ganport_runtime import PlanError
from ganport_runtime.backends import cuda

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("cuda") is None or importlib.util.find_spec("cuda.bindings") is None,
    reason="cuda-bindings has no wheel for this platform",
)


def test_a_call_that_fails_is_named_with_cudas_own_words() -> None:
    with pytest.raises(PlanError, match=r"^cudaSetDevice failed: cudaError\w+: \w[\w\s-]+$"):
        cuda.call("cudaSetDevice", 10_000)


def test_a_call_that_succeeds_gives_its_value() -> None:
    assert cuda.call("cudaRuntimeGetVersion") >= 12_000


def test_the_refusal_and_the_driver_agree() -> None:
    driver = cuda.call("cudaDriverGetVersion")  # 0 without one
    assert (cuda.refusal() is None) is (driver > 0)


@pytest.mark.skipif(cuda.refusal() is None, reason="there is an NVIDIA driver")
def test_without_a_gpu_nothing_is_allocated_and_nothing_is_left_to_free() -> None:
    from contextlib import ExitStack

    with ExitStack() as stack:
        for make in (lambda: cuda.CudaStream(stack), lambda: cuda.Buffer((2, 3), "float32", stack)):
            with pytest.raises(PlanError, match="cudaErrorInsufficientDriver"):
                make()
    with pytest.raises(PlanError, match="cudaDeviceGetAttribute failed: "):
        cuda.compute_capability()


def test_without_the_bindings_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "DRIVERS", {sys.platform: "libc.so.6"})  # any library that is there
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", None)
    assert cuda.refusal() == "cuda-bindings is not installed; pip install cuda-bindings"


def test_systems_without_cuda_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cuda.refusal() == "there is no CUDA for darwin; ask for device cpu"
