"""The backend `tensorrt` up to where a GPU is needed: refusals, and engines that are not what the manifest says."""

import dataclasses
import shutil
from pathlib import Path

import pytest
from ganport_runtime import Generator, PlanError
from ganport_runtime.backends import cuda, load_backend
from ganport_runtime.backends.tensorrt_session import load_engine

from tests.runtime.backends.conftest import EngineBundle
from tests.support.typed_graphs import source

without_driver = pytest.mark.skipif(cuda.refusal() is None, reason="there is an NVIDIA driver")
BACKEND = load_backend("tensorrt")


@pytest.fixture
def own(engine_bundle: EngineBundle, tmp_path: Path) -> Path:
    """A copy of the bundle that a test may damage."""
    return Path(shutil.copytree(engine_bundle.path, tmp_path / "own.ganport"))


@without_driver
def test_without_a_driver_it_says_so_in_one_line() -> None:
    refusal = BACKEND.refusal("cuda")
    assert refusal is not None
    assert refusal.startswith("no NVIDIA driver (libcuda.so.1 cannot be loaded); ")


def test_an_engine_built_here_fits_here_but_for_the_gpu(engine_bundle: EngineBundle) -> None:
    refusal = BACKEND.entry_refusal(engine_bundle.engine, "cuda")
    assert refusal is None or refusal.startswith("it was built for compute capability ")


@without_driver
def test_a_bundle_with_an_engine_runs_elsewhere_and_tells_why(engine_bundle: EngineBundle) -> None:
    with Generator.open(engine_bundle.path) as generator:
        assert generator.sample(2, seed=1).shape == (2, 16, 16, 3)
        (reason,) = [
            refusal.reason
            for refusal in generator.plan.refusals
            if refusal.candidate.entry == engine_bundle.engine and refusal.candidate.backend == "tensorrt"
        ]
    assert reason.startswith("it was built for compute capability 8.0, 8.6, 8.9, 12.0, 12.1, there is no GPU here; ")
    assert "; no NVIDIA driver (libcuda.so.1 cannot be loaded)" in reason
    assert "build one here" not in reason  # it fits as it is, where there is a GPU
    with pytest.raises(PlanError, match="no NVIDIA driver"):
        Generator.open(engine_bundle.path, backend="tensorrt")


@without_driver
def test_every_misfit_and_the_missing_driver_are_in_one_line(engine_bundle: EngineBundle, own: Path) -> None:
    odd = dataclasses.replace(
        engine_bundle.engine,
        library_version="1.6.0.1",
        details={**engine_bundle.engine.details, "platform": "win32-amd64"},
    )
    from tests.support.engine_bundles import write_manifest

    write_manifest(own, [source("deconv", "fp32")], [odd])
    with pytest.raises(PlanError) as caught:
        Generator.open(own, backend="tensorrt")
    line = str(caught.value)
    assert "\n" not in line
    for part in ("built by tensorrt_rtx 1.6.0.1", "'win32-amd64'", "no NVIDIA driver", "--engines tensorrt-rtx"):
        assert part in line


@without_driver
def test_an_engine_is_not_opened_past_its_refusal(engine_bundle: EngineBundle) -> None:
    with pytest.raises(PlanError, match=r"there is no GPU here; no NVIDIA driver"):
        BACKEND.open(engine_bundle.data, entry=engine_bundle.engine, device="cuda", threads=None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"streams": "2"}, "tensorrt has no option 'streams', wanted cuda_graph"),
        ({"cuda_graph": "maybe"}, "tensorrt option cuda_graph is 'maybe', wanted on or off"),
    ],
)
def test_unknown_options_are_refused(engine_bundle: EngineBundle, options: dict[str, str], message: str) -> None:
    engine = engine_bundle.engine
    with pytest.raises(PlanError, match=message):
        BACKEND.open(engine_bundle.data, entry=engine, device="cuda", threads=None, options=options)


@without_driver
def test_the_library_has_the_last_word_on_an_engine(engine_bundle: EngineBundle) -> None:
    """Its digest is right and its record fits; it is TensorRT-RTX itself that finds no GPU to run it on."""
    with pytest.raises(PlanError, match=r"^tensorrt_rtx refuses the engine: Error reading CUDA GPU properties: "):
        load_engine(engine_bundle.data, engine_bundle.engine, {"cuda_graph": "on"})
