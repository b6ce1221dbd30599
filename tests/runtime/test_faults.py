"""What fails beside ganport: engines, their imports, the cache folder. One line says so, and nothing else is lost."""

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ganport_runtime import Generator, PlanError
from ganport_runtime.backends import load_backend
from ganport_runtime.backends.onnxruntime import OnnxRuntimeSession
from ganport_runtime.tuning.record import tuning_folder

from tests.support.bundles import Weights, add_probe
from tests.support.records import OPENVINO, write_record

ERRORS = (ImportError("libcrypt.so.1: cannot open"), OSError("bad\nELF"), RuntimeError("no CPU"), MemoryError())


def raises(error: Exception) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> Any:
        raise error

    return fail


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_an_engine_that_cannot_be_imported_is_refused_and_the_next_one_runs(
    bundle: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganport_runtime.backends.onnxruntime._library", raises(error))
    with Generator.open(bundle) as generator:
        assert generator.plan.backend == "openvino"
        (refusal,) = [one for one in generator.plan.refusals if one.candidate.backend == "onnxruntime"][-1:]
        assert str(error).split("\n")[0] in refusal.reason
        assert "\n" not in refusal.reason
    with pytest.raises(PlanError) as caught:
        Generator.open(bundle, backend="onnxruntime")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_an_engine_that_fails_at_opening_gives_way_to_the_next(
    bundle: Path, error: Exception, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setattr("ganport_runtime.backends.openvino.import_openvino", raises(error))
    monkeypatch.setattr("ganport_runtime.backends.openvino.openvino_core", raises(error))
    write_record(bundle, replace(OPENVINO, entry="generator-deconv-fp32"))
    with Generator.open(bundle) as generator:
        assert generator.plan.backend == "onnxruntime"
        assert "instead of generator-deconv-fp32 by openvino" in generator.plan.note
    with pytest.raises(PlanError, match="openvino failed: ") as caught:
        Generator.open(bundle, backend="openvino")
    assert "\n" not in str(caught.value)


def test_an_engine_that_fails_in_a_run_is_one_line_and_the_next_run_is_right(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Generator.open(bundle) as generator:
        wanted = generator.sample(3, seed=1)
        (session,) = {id(one.session): one.session for one in generator._opened().values()}.values()
        assert isinstance(session, OnnxRuntimeSession)
        with monkeypatch.context() as patch:
            patch.setattr(session, "_run", raises(RuntimeError("out of\nmemory")))
            with pytest.raises(PlanError, match="onnxruntime failed on CPUExecutionProvider: out of memory"):
                generator.sample(3, seed=1)
        np.testing.assert_array_equal(generator.sample(3, seed=1), wanted)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_a_cache_that_is_full_or_read_only_costs_nothing_but_its_memory(
    own_bundle: Path, weights: Weights, cache: Path, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_probe(own_bundle, weights)
    error = OSError(code, os.strerror(code))
    monkeypatch.setattr(os, "fsync", raises(error))
    with Generator.open(own_bundle) as generator:
        assert generator.sample(2).shape[0] == 2
        assert f"its result cannot be remembered ([Errno {code}] {os.strerror(code)})" in generator.plan.note
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_a_backend_whose_file_is_broken_is_refused_by_name(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ganport_runtime import backends

    monkeypatch.setitem(backends._MODULES, "openvino", "no.such_module")
    load_backend.cache_clear()
    try:
        with Generator.open(bundle) as generator:
            assert generator.plan.backend == "onnxruntime"
        with pytest.raises(PlanError, match=r"no\.such_module cannot be imported: ModuleNotFoundError"):
            Generator.open(bundle, backend="openvino")
    finally:
        load_backend.cache_clear()


def test_a_tuning_folder_that_is_a_file_is_said(bundle: Path, cache: Path) -> None:
    cache.mkdir()
    tuning_folder().write_text("in the way")
    with Generator.open(bundle) as generator:
        assert "the tuning records cannot be read" in generator.plan.note
        assert "\n" not in generator.plan.note
