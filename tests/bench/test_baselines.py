"""Baselines make the network's images at every setting, or say why they cannot run here."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from ganport_bench.baselines import TRANSFERS, SystemUnderTest, baselines_of
from ganport_bench.baselines.pytorch import own_call
from ganport_bench.baselines.pytorch_cuda import cuda_refusal, set_float32_kind
from ganport_bench.errors import BenchError
from ganport_bench.subject import NetworkSource
from ganport_runtime.differences import compare
from torch._inductor import config

from tests.bench.random_network import random_network

BATCH = 4
ON_CPU = (
    "PyTorch, eager",
    "PyTorch, channels-last",
    "PyTorch, bf16 autocast",
    "torch.compile",
    "torch.compile, bf16 autocast",
    "ONNX Runtime",
    "OpenVINO, fp32",
    "OpenVINO, bf16",
)
ON_GPU = (
    "PyTorch on CUDA, eager",
    "PyTorch on CUDA, channels-last",
    "PyTorch on CUDA, TF32",
    "PyTorch on CUDA, fp16 autocast",
    "PyTorch on CUDA, bf16 autocast",
    "torch.compile on CUDA",
    "torch.compile on CUDA, TF32",
    "torch.compile on CUDA, fp16 autocast",
    "PyTorch CUDA graph",
    "PyTorch CUDA graph, TF32",
    "PyTorch CUDA graph, fp16",
    "ONNX Runtime on CUDA",
    "ONNX Runtime on CUDA, I/O binding",
    "ONNX Runtime on CUDA, TF32",
    "ONNX Runtime on CUDA, I/O binding, TF32",
)
# Rounding of pixels alone; bfloat16 keeps 8 bits of every number.
LEAST_DB = {"fp32": 70, "tf32": 50, "fp16": 45, "bf16": 35}


@pytest.fixture(scope="module")
def source() -> NetworkSource:
    return random_network()


@pytest.fixture(autouse=True)
def torch_threads() -> Iterator[None]:
    """Baselines set the number of threads, which is the whole process's."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def named(source: NetworkSource, name: str) -> SystemUnderTest:
    return next(one for one in baselines_of(source) if one.name == name)


def test_every_baseline_is_in_the_list_once(source: NetworkSource) -> None:
    assert tuple(one.name for one in baselines_of(source)) == ON_CPU + ON_GPU
    assert {one.kind for one in baselines_of(source)} == {"peer"}


@pytest.mark.parametrize("name", [name for name in ON_CPU if "compile" not in name])
def test_every_setting_makes_finished_images_of_the_network(source: NetworkSource, name: str) -> None:
    one = named(source, name)
    if reason := one.refusal():
        pytest.skip(reason)
    z, pixels = source.reference(seed=1, count=BATCH)
    for settings in one.settings(BATCH):
        session = one.open(settings, BATCH)
        made = session.run(z)
        assert made.dtype == np.uint8
        assert made.shape == (BATCH, 16, 16, 3)
        assert made.flags.c_contiguous
        assert session.precision == ("bf16" if "bf16" in name else "fp32")
        assert compare(made, pixels).psnr_db_worst >= LEAST_DB[session.precision], settings
        kept = made.copy()
        session.run(z[::-1].copy())
        np.testing.assert_array_equal(made, kept)  # the caller's to keep
        session.close()


@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")  # PyTorch's own use
@pytest.mark.slow
def test_a_compiled_module_makes_the_same_images(source: NetworkSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganport_bench.baselines.pytorch.thread_choices", lambda: (1,))
    monkeypatch.setattr(
        config, "cpp_cache_precompile_headers", False
    )  # they pay for themselves from the tenth graph on
    one = named(source, "torch.compile")
    if reason := one.refusal():
        pytest.skip(reason)
    session = one.open(one.settings(BATCH)[0], BATCH)
    z, pixels = source.reference(seed=1, count=BATCH)
    assert compare(session.run(z), pixels).psnr_db_worst >= LEAST_DB["fp32"]
    assert session.run(z).flags.c_contiguous


@pytest.mark.parametrize(
    ("name", "package", "module"),
    [
        ("ONNX Runtime", "onnxruntime", "onnxruntime"),
        ("ONNX Runtime on CUDA", "onnxruntime", "onnxruntime_cuda"),
        ("OpenVINO, fp32", "openvino", "openvino"),
    ],
)
def test_a_library_that_is_not_here_is_a_reason(
    source: NetworkSource, name: str, package: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"ganport_bench.baselines.{module}.find_spec", lambda _name: None)
    assert f"{package} is not installed; pip install 'ganport[" in str(named(source, name).refusal())


def test_compiled_sessions_do_not_share_their_code(source: NetworkSource) -> None:
    """With shared code PyTorch tries the compiled graphs of all sessions in turn at every call."""
    module = source.module()
    first, second = (own_call(module) for _ in range(2))
    assert first.__code__ is not second.__code__
    z = torch.zeros(2, 5)
    torch.testing.assert_close(first(z), module(z))


def test_openvino_splits_a_batch_over_streams_where_it_divides(
    source: NetworkSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganport_bench.baselines.openvino.thread_choices", lambda: (2, 1))
    one = named(source, "OpenVINO, fp32")
    assert {settings["streams"] for settings in one.settings(1)} == {"1"}
    assert {settings["streams"] for settings in one.settings(8)} == {"1", "2"}
    odd = {(settings["shape"], settings["streams"]) for settings in one.settings(3)}
    assert odd == {("open", "1"), ("open", "2"), ("fixed", "1")}
    z, pixels = source.reference(seed=2, count=8)
    split = next(settings for settings in one.settings(8) if settings["streams"] == "2")
    assert compare(one.open(split, 8).run(z), pixels).largest_difference <= 1


def test_a_pytorch_peer_sets_its_threads_again_where_another_changed_them(source: NetworkSource) -> None:
    one = named(source, "PyTorch, eager")
    session = one.open({"threads": "1", "layout": "contiguous"}, BATCH)
    torch.set_num_threads(2)
    session.run(source.reference(seed=1, count=BATCH)[0])
    assert torch.get_num_threads() == 1


def test_a_closed_peer_says_so(source: NetworkSource) -> None:
    one = named(source, "PyTorch, eager")
    session = one.open(one.settings(BATCH)[0], BATCH)
    session.close()
    with pytest.raises(RuntimeError, match="closed"):
        session.run(source.reference(seed=1, count=BATCH)[0])


# ---- on a GPU


@pytest.fixture(autouse=True)
def numbers() -> Iterator[None]:
    """Peers say how float32 is multiplied, which is the whole process's."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark
    yield
    torch.set_float32_matmul_precision(before[0])
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = before[1:]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("name", [name for name in ON_GPU if "orch" in name])
def test_pytorchs_peers_say_that_there_is_no_gpu(source: NetworkSource, name: str) -> None:
    reason = named(source, name).refusal()
    assert reason is not None
    assert reason.startswith("torch has no CUDA device: torch 2")
    assert "\n" not in reason


def test_compiling_needs_triton_and_a_compiler(source: NetworkSource, monkeypatch: pytest.MonkeyPatch) -> None:
    one = named(source, "torch.compile on CUDA")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("ganport_bench.baselines.pytorch_cuda.find_spec", lambda _name: None)
    assert "triton, which is not installed" in str(one.refusal())
    monkeypatch.setattr("ganport_bench.baselines.pytorch_cuda.find_spec", lambda _name: object())
    monkeypatch.setenv("CC", "no-such-compiler")
    assert "no-such-compiler is not here" in str(one.refusal())


class FallingBack:
    """onnxruntime-gpu that lists the provider, cannot load it, and takes the CPU without a word."""

    def __init__(self) -> None:
        import onnxruntime  # type: ignore[import-untyped]

        self._library, self.asked = onnxruntime, dict[str, str]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._library, name)

    def preload_dlls(self) -> None:
        print("Failed to load libcudnn.so.9")

    def InferenceSession(self, graph: bytes, options: Any, *, providers: Any, enable_fallback: int) -> Any:  # noqa: N802
        ((_, self.asked),) = providers
        return self._library.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("binding", ["", ", I/O binding"])
def test_a_silent_fallback_is_refused(
    source: NetworkSource, binding: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    library = FallingBack()
    monkeypatch.setattr("ganport_bench.baselines.onnxruntime_cuda._library", lambda: library)
    one = named(source, f"ONNX Runtime on CUDA{binding}, TF32")
    first, *_ = one.settings(BATCH)
    with pytest.raises(BenchError, match="runs on CPUExecutionProvider where CUDAExecutionProvider was asked for"):
        one.open(first, BATCH)
    assert library.asked == {"use_tf32": "1", "prefer_nhwc": "0", "enable_cuda_graph": "0"}
    assert capsys.readouterr().out == "", "stdout is the document's"


def test_float32_is_float32_where_tf32_was_not_asked_for() -> None:
    for precision, is_tf32 in (("tf32", True), ("fp32", False), ("fp16", False)):
        set_float32_kind(precision)
        assert torch.backends.cudnn.allow_tf32 is is_tf32
        assert torch.backends.cuda.matmul.allow_tf32 is is_tf32


@pytest.fixture
def gpu() -> None:
    if reason := cuda_refusal():
        pytest.skip(reason)


@pytest.mark.gpu
@pytest.mark.usefixtures("gpu")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the compiler's own
@pytest.mark.parametrize("name", ON_GPU)
def test_every_peer_makes_the_networks_images_on_the_gpu(source: NetworkSource, name: str) -> None:
    one = named(source, name)
    if reason := one.refusal():
        pytest.skip(reason)
    z, pixels = source.reference(seed=1, count=BATCH)
    made_here = 0
    for settings in one.settings(BATCH):
        try:
            session = one.open(settings, BATCH)
        except Exception:
            if "on" not in settings.values():
                raise
            continue  # ONNX Runtime takes its options only where its build and all of a graph's nodes allow it
        made = [session.run(z) for _ in range(4)]  # a graph is recorded at one of the first and replayed then
        kept = [images.copy() for images in made]
        session.run(z[::-1].copy())
        for images, copy in zip(made, kept, strict=True):
            assert images.dtype == np.uint8
            assert images.flags.c_contiguous
            np.testing.assert_array_equal(images, copy)  # the caller's to keep
            assert compare(images, pixels).psnr_db_worst >= LEAST_DB[session.precision], settings
        assert session.transfers == TRANSFERS["cuda"]
        session.close()
        made_here += 1
    assert made_here, "no setting of it can be opened"


@pytest.mark.gpu
@pytest.mark.usefixtures("gpu")
def test_sessions_of_different_numbers_do_not_disturb_each_other(source: NetworkSource) -> None:
    """Interleaved as they are timed, each gives what it gave alone."""
    z, _ = source.reference(seed=1, count=BATCH)
    names = ("PyTorch on CUDA, eager", "PyTorch on CUDA, TF32", "PyTorch CUDA graph", "PyTorch CUDA graph, TF32")
    sessions = [one.open(one.settings(BATCH)[0], BATCH) for one in (named(source, name) for name in names)]
    alone = [session.run(z) for session in sessions]
    for _ in range(3):
        for session, wanted in zip(sessions, alone, strict=True):
            assert compare(session.run(z), wanted).psnr_db_worst >= LEAST_DB["fp32"]
    for session in sessions:
        session.close()


@pytest.mark.gpu
@pytest.mark.usefixtures("gpu")
def test_a_closed_graph_says_so_and_gives_its_memory_back(source: NetworkSource) -> None:
    one = named(source, "PyTorch CUDA graph")
    z, _ = source.reference(seed=1, count=BATCH)
    held = []
    for _ in range(3):
        session = one.open(one.settings(BATCH)[0], BATCH)
        session.run(z)
        session.close()
        held.append(torch.cuda.memory_reserved())
    assert held[-1] <= held[0]
    with pytest.raises(RuntimeError, match="closed"):
        session.run(z)
