import os

import numpy as np
import pytest
import torch
from ganport_bench.peers import Contender, Source, peers_of
from ganport_bench.peers.compiled import Compiled, own_call
from ganport_bench.peers.onnxruntime import OnnxRuntime
from ganport_bench.peers.openvino import OpenVino
from ganport_bench.peers.threads import thread_choices
from ganport_runtime.differences import compare
from torch._inductor import config

BATCH = 4
NAMES = (
    "PyTorch, eager",
    "PyTorch, channels-last",
    "PyTorch, bf16 autocast",
    "torch.compile",
    "torch.compile, bf16 autocast",
    "ONNX Runtime",
    "OpenVINO, fp32",
    "OpenVINO, bf16",
)
LEAST_DB = {"fp32": 70, "bf16": 35}  # rounding of pixels alone; bfloat16 keeps 8 bits of every number


def peer(source: Source, name: str) -> Contender:
    return next(one for one in peers_of(source) if one.name == name)


def test_everyone_has_a_name_of_its_own(source: Source) -> None:
    assert tuple(one.name for one in peers_of(source))[: len(NAMES)] == NAMES
    assert {one.kind for one in peers_of(source)} == {"peer"}


@pytest.mark.parametrize("name", [name for name in NAMES if "compile" not in name])
def test_every_setting_makes_finished_images_of_the_network(source: Source, name: str) -> None:
    one = peer(source, name)
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
def test_a_compiled_module_makes_the_same_images(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganport_bench.peers.compiled.thread_choices", lambda: (1,))
    monkeypatch.setattr(
        config, "cpp_cache_precompile_headers", False
    )  # they pay for themselves from the tenth graph on
    one = Compiled(source, precision="fp32")
    if reason := one.refusal():
        pytest.skip(reason)
    session = one.open(one.settings(BATCH)[0], BATCH)
    z, pixels = source.reference(seed=1, count=BATCH)
    assert compare(session.run(z), pixels).psnr_db_worst >= LEAST_DB["fp32"]
    assert session.run(z).flags.c_contiguous


def test_bfloat16_is_really_used(source: Source) -> None:
    """Its images are near, and not those of float32."""
    z, pixels = source.reference(seed=1, count=BATCH)
    one = peer(source, "PyTorch, bf16 autocast")
    made = one.open(one.settings(BATCH)[0], BATCH).run(z)
    assert compare(made, pixels).psnr_db_mean < 65


def test_a_compiler_that_is_not_here_is_a_reason(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    reason = Compiled(source, precision="fp32").refusal()
    assert reason is not None
    assert "no-such-compiler is not here" in reason
    assert "install g++" in reason


@pytest.mark.parametrize(("kind", "package"), [(OnnxRuntime, "onnxruntime"), (OpenVino, "openvino")])
def test_a_library_that_is_not_here_is_a_reason(
    source: Source, kind: type, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"ganport_bench.peers.{package}.find_spec", lambda _name: None)
    one = kind(source, precision="fp32") if kind is OpenVino else kind(source)
    assert f"{package} is not installed; pip install 'ganport[" in str(one.refusal())


def test_compiled_sessions_do_not_share_their_code(source: Source) -> None:
    """With shared code PyTorch tries the compiled graphs of all sessions in turn at every call."""
    module = source.module()
    first, second = (own_call(module) for _ in range(2))
    assert first.__code__ is not second.__code__
    z = torch.zeros(2, 5)
    torch.testing.assert_close(first(z), module(z))


def test_openvino_splits_a_batch_over_streams_where_it_divides(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganport_bench.peers.openvino.thread_choices", lambda: (2, 1))
    one = OpenVino(source, precision="fp32")
    assert {settings["streams"] for settings in one.settings(1)} == {"1"}
    assert {settings["streams"] for settings in one.settings(8)} == {"1", "2"}
    z, pixels = source.reference(seed=2, count=8)
    split = next(settings for settings in one.settings(8) if settings["streams"] == "2")
    assert compare(one.open(split, 8).run(z), pixels).largest_difference <= 1


def test_threads_are_those_that_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(8)), raising=False)
    assert thread_choices() == (8, 4, 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {3}, raising=False)
    assert thread_choices() == (1,)


def test_a_pytorch_peer_sets_its_threads_again_where_another_changed_them(source: Source) -> None:
    one = peer(source, "PyTorch, eager")
    session = one.open({"threads": "1", "layout": "contiguous"}, BATCH)
    torch.set_num_threads(2)
    session.run(source.reference(seed=1, count=BATCH)[0])
    assert torch.get_num_threads() == 1


def test_a_closed_peer_says_so(source: Source) -> None:
    one = peer(source, "PyTorch, eager")
    session = one.open(one.settings(BATCH)[0], BATCH)
    session.close()
    with pytest.raises(RuntimeError, match="closed"):
        session.run(source.reference(seed=1, count=BATCH)[0])
