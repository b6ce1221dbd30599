"""Plans: what is chosen, what is refused and why."""

import dataclasses
import sys
from pathlib import Path
from typing import Any

import onnxruntime  # type: ignore[import-untyped]
import pytest
from ganport_runtime import Bundle, Generator, InputError, PlanError
from ganport_runtime.backends.onnxruntime import OnnxRuntimeBackend
from ganport_runtime.plan import PlanRequest, list_plans

from tests.support.bundles import (
    SOME_GRAPH,
    generator_graph,
    make_manifest,
    make_weights,
    write_manifest,
    write_variant,
)

HAS_CUDA = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
without_cuda = pytest.mark.skipif(HAS_CUDA, reason="this onnxruntime has the CUDA provider")


@pytest.fixture
def variety(tmp_path: Path) -> Path:
    """A bundle of several generators: other forms and precisions by name, the same graph inside."""
    path = tmp_path / "variety.ganport"
    path.mkdir()
    weights = make_weights()
    kinds = [("phase", "int8"), ("phase", "fp32"), ("deconv", "fp32"), ("deconv", "fp16")]
    graph = generator_graph(weights)
    variants = [write_variant(path, "generator", graph, form=form, precision=precision) for form, precision in kinds]
    write_manifest(path, make_manifest(weights, variants, discriminator=False).to_json())
    return path


def test_the_plan_says_what_runs(bundle: Path) -> None:
    with Generator.open(bundle, device="cpu", threads=1) as generator:
        plan = generator.plan
    assert (plan.role, plan.variant, plan.form, plan.precision) == (
        "generator", "generator-deconv-fp32", "deconv", "fp32",
    )  # fmt: skip
    assert (plan.backend, plan.backend_version) == ("onnxruntime", onnxruntime.__version__)
    assert (plan.device, plan.provider, plan.threads) == ("cpu", "CPUExecutionProvider", 1)
    assert plan.tuned is False
    assert plan.note.startswith("not tuned: ")
    line = str(plan)
    assert "\n" not in line
    for part in (plan.variant, plan.provider, onnxruntime.__version__, "threads 1", "not tuned"):
        assert part in line
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.tuned = True  # type: ignore[misc]


def test_threads_reach_the_engine(bundle: Path) -> None:
    with Generator.open(bundle) as generator:
        model = generator.bundle.read(generator.bundle.variants("generator")[0])
    for threads in (1, 2):
        session: Any = OnnxRuntimeBackend().open(model, entry=SOME_GRAPH, device="cpu", threads=threads)
        assert session._run.__self__.get_session_options().intra_op_num_threads == threads


def test_auto_takes_the_deconv_form_in_fp32(variety: Path) -> None:
    with Generator.open(variety, device="cpu") as generator:
        assert generator.plan.variant == "generator-deconv-fp32"
        refused = {refusal.candidate.entry.id: refusal.reason for refusal in generator.plan.refusals
                   if refusal.candidate.backend == "onnxruntime" and refusal.candidate.device == "cpu"}  # fmt: skip
    assert set(refused) == {"generator-deconv-fp16", "generator-phase-int8"}
    assert "precision auto takes fp32 where nothing was tuned; ask for int8" in refused["generator-phase-int8"]


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_precision_that_is_asked_for_is_taken(variety: Path, precision: str) -> None:
    with Generator.open(variety, precision=precision) as generator:
        assert generator.plan.precision == precision


def test_every_candidate_is_available_or_refused_with_a_reason(variety: Path) -> None:
    available, refusals = list_plans(Bundle.open(variety), "generator", PlanRequest())
    assert len(available) + len(refusals) == 4 * 4  # variants; onnxruntime on two devices, openvino, tensorrt
    assert [str(candidate) for candidate in available if candidate.device == "cpu"] == [
        "generator-deconv-fp32 by onnxruntime on cpu",
        "generator-phase-fp32 by onnxruntime on cpu",
        "generator-deconv-fp32 by openvino on cpu, precision_hint f32",
        "generator-phase-fp32 by openvino on cpu, precision_hint f32",
    ]
    assert all(refusal.reason for refusal in refusals)


@without_cuda
def test_a_device_without_its_provider_is_refused_with_the_remedy(bundle: Path) -> None:
    with pytest.raises(PlanError) as caught:
        Generator.open(bundle, device="cuda")
    line = str(caught.value)
    assert "\n" not in line
    assert f"the installed onnxruntime {onnxruntime.__version__} has no CUDAExecutionProvider" in line
    assert "pip install 'ganport[gpu]'" in line
    assert "was asked for" not in line  # the caller knows; what can be mended is what is said
    with Generator.open(bundle) as generator:
        assert {(refusal.candidate.backend, refusal.candidate.device) for refusal in generator.plan.refusals} == {
            ("onnxruntime", "cuda"), ("tensorrt", "cuda"),
        }  # fmt: skip


@without_cuda
def test_the_engines_silent_fallback_is_an_error(bundle: Path) -> None:
    """ONNX Runtime runs on the CPU where CUDA was asked for and is not there; that is no CUDA session."""
    model = (bundle / "generator-deconv-fp32.onnx").read_bytes()
    with (
        pytest.warns(UserWarning, match="CUDAExecutionProvider"),
        pytest.raises(PlanError, match="reports CPUExecutionProvider where CUDAExecutionProvider was asked for"),
    ):
        OnnxRuntimeBackend().open(model, entry=SOME_GRAPH, device="cuda", threads=None)


def test_without_the_library_the_remedy_is_said(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(PlanError, match=r"onnxruntime is not installed; pip install 'ganport\[cpu\]'"):
        Generator.open(bundle, backend="onnxruntime")


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("device", "tpu", "device is 'tpu', wanted one of auto, cpu, cuda"),
        ("device", "CPU", "device is 'CPU'"),
        ("precision", "fp8", "precision is 'fp8', wanted one of auto, fp32, bf16, fp16, int8"),
        ("backend", "tvm", "backend is 'tvm', wanted one of auto, onnxruntime"),
        ("threads", 0, "threads is 0, wanted 1 to 1024"),
        ("threads", 1.5, "threads is 1.5, wanted a whole number"),
        ("threads", True, "threads is True, wanted a whole number"),
    ],
)
def test_unknown_values_are_refused_with_the_allowed_ones(bundle: Path, option: str, value: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        Generator.open(bundle, **{option: value})
    assert message in str(caught.value)
