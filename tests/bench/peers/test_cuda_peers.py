"""Peers on a GPU: why each is left out where there is none, and their images where there is one."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from ganport_bench.errors import BenchError
from ganport_bench.peers import TRANSFERS, Contender, Source, peers_of
from ganport_bench.peers.compiled_cuda import CompiledCuda
from ganport_bench.peers.graph_cuda import GraphCuda
from ganport_bench.peers.onnxruntime_cuda import OnnxRuntimeCuda
from ganport_bench.peers.pytorch_cuda import cuda_refusal, set_numbers
from ganport_runtime.differences import compare

BATCH = 4
NAMES = (
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
LEAST_DB = {"fp32": 70, "tf32": 50, "fp16": 45, "bf16": 35}


@pytest.fixture(autouse=True)
def numbers() -> Iterator[None]:
    """Peers say how float32 is multiplied, which is the whole process's."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark
    yield
    torch.set_float32_matmul_precision(before[0])
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = before[1:]


def peer(source: Source, name: str) -> Contender:
    return next(one for one in peers_of(source) if one.name == name)


def test_every_peer_of_a_gpu_is_among_the_peers(source: Source) -> None:
    names = tuple(one.name for one in peers_of(source))
    assert names[-len(NAMES) :] == NAMES
    assert len(set(names)) == len(names)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("name", [name for name in NAMES if "orch" in name])
def test_pytorchs_peers_say_that_there_is_no_gpu(source: Source, name: str) -> None:
    reason = peer(source, name).refusal()
    assert reason is not None
    assert reason.startswith("torch has no CUDA device: torch 2")
    assert "\n" not in reason


def test_the_reason_tells_a_build_without_cuda_from_a_machine_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    assert str(cuda_refusal()).endswith("it is built without CUDA")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    assert str(cuda_refusal()).endswith("it finds none that its CUDA 13.0 can use")


def test_compiling_needs_triton_and_a_compiler(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    one = CompiledCuda(source, precision="fp32")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("ganport_bench.peers.compiled_cuda.find_spec", lambda _name: None)
    assert "triton, which is not installed" in str(one.refusal())
    monkeypatch.setattr("ganport_bench.peers.compiled_cuda.find_spec", lambda _name: object())
    monkeypatch.setenv("CC", "no-such-compiler")
    assert "no-such-compiler is not here" in str(one.refusal())


def test_onnxruntime_without_the_provider_says_so(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    one = OnnxRuntimeCuda(source, precision="fp32", binding=False)
    listed = SimpleNamespace(get_available_providers=lambda: ["CPUExecutionProvider"])
    monkeypatch.setattr("ganport_bench.peers.onnxruntime_cuda._library", lambda: listed)
    assert str(one.refusal()).startswith("onnxruntime lists no CUDAExecutionProvider; pip install 'ganport[gpu]'")
    monkeypatch.setattr("ganport_bench.peers.onnxruntime_cuda.find_spec", lambda _name: None)
    assert str(one.refusal()).startswith("onnxruntime is not installed; pip install 'ganport[gpu]'")


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


@pytest.mark.parametrize("binding", [False, True])
def test_a_silent_fallback_is_refused(
    source: Source, binding: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    library = FallingBack()
    monkeypatch.setattr("ganport_bench.peers.onnxruntime_cuda._library", lambda: library)
    one = OnnxRuntimeCuda(source, precision="tf32", binding=binding)
    first, *_ = one.settings(BATCH)
    with pytest.raises(BenchError, match="runs on CPUExecutionProvider where CUDAExecutionProvider was asked for"):
        one.open(first, BATCH)
    assert library.asked == {"use_tf32": "1", "prefer_nhwc": "0", "enable_cuda_graph": "0"}
    assert capsys.readouterr().out == "", "stdout is the document's"


def test_cuda_graphs_of_onnxruntime_want_binding(source: Source) -> None:
    plain, bound = (OnnxRuntimeCuda(source, precision="fp32", binding=binding) for binding in (False, True))
    assert {settings["cuda_graph"] for settings in plain.settings(BATCH)} == {"off"}
    assert {settings["cuda_graph"] for settings in bound.settings(BATCH)} == {"off", "on"}


def test_float32_is_float32_where_tf32_was_not_asked_for() -> None:
    for precision, is_tf32 in (("tf32", True), ("fp32", False), ("fp16", False)):
        set_numbers(precision)
        assert torch.backends.cudnn.allow_tf32 is is_tf32
        assert torch.backends.cuda.matmul.allow_tf32 is is_tf32


@pytest.fixture
def gpu() -> None:
    if reason := cuda_refusal():
        pytest.skip(reason)


@pytest.mark.gpu
@pytest.mark.usefixtures("gpu")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the compiler's own
@pytest.mark.parametrize("name", NAMES)
def test_every_peer_makes_the_networks_images_on_the_gpu(source: Source, name: str) -> None:
    one = peer(source, name)
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
def test_sessions_of_different_numbers_do_not_disturb_each_other(source: Source) -> None:
    """Interleaved as they are timed, each gives what it gave alone."""
    z, _ = source.reference(seed=1, count=BATCH)
    names = ("PyTorch on CUDA, eager", "PyTorch on CUDA, TF32", "PyTorch CUDA graph", "PyTorch CUDA graph, TF32")
    sessions = [one.open(one.settings(BATCH)[0], BATCH) for one in (peer(source, name) for name in names)]
    alone = [session.run(z) for session in sessions]
    for _ in range(3):
        for session, wanted in zip(sessions, alone, strict=True):
            assert compare(session.run(z), wanted).psnr_db_worst >= LEAST_DB["fp32"]
    for session in sessions:
        session.close()


@pytest.mark.gpu
@pytest.mark.usefixtures("gpu")
def test_a_closed_graph_says_so_and_gives_its_memory_back(source: Source) -> None:
    one = GraphCuda(source, precision="fp32")
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
