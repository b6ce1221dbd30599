"""How ONNX Runtime is driven on a GPU: buffers bound once, copies waited for, one graph a bucket and choice of outputs.

There is no GPU in it: CUDA is the host's memory, and a real session of the CPU provider reads and writes that.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import pytest
from ganport_runtime import Bundle, ClosedError, PlanError
from ganport_runtime.backends.onnxruntime import OnnxRuntimeCudaSession
from ganport_runtime.latents import latents
from ganport_runtime.manifest import Role

from tests.support.bundles import Weights
from tests.support.host_cuda import HostCuda

ON, OFF = {"cuda_graph": "on"}, {"cuda_graph": "off"}


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> HostCuda:
    monkeypatch.setattr("ganport_runtime.backends.onnxruntime.DEVICE_TYPE", "cpu")
    return HostCuda.installed(monkeypatch)


class Session:
    """A real session that notes the graph's id of every run; runs are counted, and fail where they are told to."""

    def __init__(self, model: bytes) -> None:
        self.real = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        self.ids: list[str | None] = []
        self.failing = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def run_with_iobinding(self, binding: Any, how: Any) -> None:
        if self.failing:
            raise RuntimeError("cuDNN\nis not well")
        try:
            self.ids.append(how.get_run_config_entry("gpu_graph_id"))
        except RuntimeError:  # there is none
            self.ids.append(None)
        self.real.run_with_iobinding(binding, how)


def session_of(bundle: Path, role: Role, options: Mapping[str, str]) -> tuple[OnnxRuntimeCudaSession, Session]:
    described = Bundle.open(bundle)
    real = Session(described.read(described.variants(role)[0]))
    return OnnxRuntimeCudaSession(onnxruntime, real, "a provider", precision="fp32", options=options), real


@pytest.mark.parametrize("options", [ON, OFF])
@pytest.mark.usefixtures("runtime")
def test_results_are_the_sessions_and_the_callers_own(
    bundle: Path, weights: Weights, options: Mapping[str, str]
) -> None:
    session, _ = session_of(bundle, "generator", options)
    given = [latents(seed, 0, bucket, 12) for seed in (1, 2) for bucket in (1, 8, 64)]
    made = [session.run(("image",), {"z": z})[0] for z in given]
    session.close()
    for z, images in zip(given, made, strict=True):
        assert images.dtype == np.uint8
        assert np.abs(images - weights.images(z)).max() < 0.51


@pytest.mark.usefixtures("runtime")
def test_the_named_outputs_alone_are_bound_and_given(bundle: Path, weights: Weights) -> None:
    session, real = session_of(bundle, "discriminator", ON)
    images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)
    for names in (("features",), ("logit", "features"), ("logit",), ("features",)):
        outputs = dict(zip(names, session.run(names, {"image": images}), strict=True))
        for name, wanted in (("features", weights.embed(images)), ("logit", weights.score(images))):
            if name in names:
                np.testing.assert_allclose(outputs[name], wanted, atol=1e-4)
    assert real.ids == ["1", "2", "3", "1"]  # each choice of outputs is a graph of its own


def test_a_bucket_is_bound_once_and_has_one_graph(bundle: Path, runtime: HostCuda) -> None:
    session, real = session_of(bundle, "generator", ON)
    for bucket in (1, 8, 1, 8, 8):
        session.run(("image",), {"z": latents(0, 0, bucket, 12)})
    assert real.ids == ["1", "2", "1", "2", "2"]
    assert runtime.calls.count("cudaMalloc") == 4


def test_closing_gives_everything_back(bundle: Path, runtime: HostCuda) -> None:
    session, _ = session_of(bundle, "generator", ON)
    session.run(("image",), {"z": latents(0, 0, 2, 12)})
    assert runtime.alive
    session.close()
    assert not runtime.alive
    with pytest.raises(ClosedError):
        session.run(("image",), {"z": latents(0, 0, 2, 12)})


def test_failures_of_cuda_and_of_the_library_are_one_line(bundle: Path, runtime: HostCuda) -> None:
    session, real = session_of(bundle, "generator", OFF)
    runtime.failing = {"cudaMemcpyAsync"}
    with pytest.raises(PlanError, match="cudaMemcpyAsync failed: cudaErrorOfATest"):
        session.run(("image",), {"z": latents(0, 0, 2, 12)})
    runtime.failing = set()
    real.failing = True
    with pytest.raises(PlanError, match="onnxruntime failed on a provider: cuDNN is not well"):
        session.run(("image",), {"z": latents(0, 0, 2, 12)})
