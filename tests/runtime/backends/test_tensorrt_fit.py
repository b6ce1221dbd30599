"""Engines whose record does not fit the machine: every reason is named, and none is invented."""

import dataclasses
from typing import Any

import pytest
from ganport_runtime.backends.tensorrt import Machine, bucket_profiles, refusal_of
from ganport_runtime.manifest import CompiledEngine
from hypothesis import given
from hypothesis import strategies as st

BUCKETS = (1, 2, 4, 8, 16, 32, 64)
HERE = Machine({"tensorrt_rtx": "1.7.1.116", "tensorrt": "11.4.0"}, "linux-x86_64", "8.9")


def engine(**fields: Any) -> CompiledEngine:
    """An engine that fits `HERE`, with some fields changed; `platform` and `version_compatible` are details."""
    details = {"platform": "linux-x86_64", "precision": "fp32", "version_compatible": False}
    changed = {key: fields.pop(key) for key in details.keys() & fields.keys()}
    fits = CompiledEngine(
        id="generator-deconv-fp32-tensorrt_rtx",
        variant="generator-deconv-fp32",
        file="engines/e.engine",
        sha256="0" * 64,
        library="tensorrt_rtx",
        library_version="1.7.1.116",
        compute_capabilities=("8.6", "8.9"),
        profiles=tuple({"bucket": bucket} for bucket in BUCKETS),
        details={**details, **changed},
    )
    return dataclasses.replace(fits, **fields)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"library": "tvm"}, "it is an engine of 'tvm', wanted one of tensorrt, tensorrt_rtx"),
        ({"library_version": "1.6.0.12"}, "it was built by tensorrt_rtx 1.6.0.12, here is 1.7.1.116"),
        ({"library_version": "1.8.0"}, "it was built by tensorrt_rtx 1.8.0, here is 1.7.1.116"),
        ({"platform": "win32-amd64"}, "it was built for 'win32-amd64', this is linux-x86_64"),
        ({"platform": None}, "it was built for an unknown platform, this is linux-x86_64"),
        ({"platform": ["linux-x86_64"]}, "it was built for ['linux-x86_64'], this is linux-x86_64"),
        ({"compute_capabilities": ("8.6",)}, "it was built for compute capability 8.6, this GPU has 8.9"),
        ({"compute_capabilities": ("9.0+", "12.0")},
         "it was built for compute capability 9.0+, 12.0, this GPU has 8.9"),
        ({"compute_capabilities": ()}, "it was built for compute capability no known one, this GPU has 8.9"),
        ({"compute_capabilities": ("all",)}, "it was built for compute capability all, this GPU has 8.9"),
        ({"profiles": ({"bucket": 64}, {"batch": 8}, {"bucket": [1]})},
         "it has no profile for batch 1, 2, 4, 8, 16, 32"),
    ],
)  # fmt: skip
def test_a_record_that_does_not_fit_is_refused_with_its_reason(changes: dict[str, Any], reason: str) -> None:
    remedy = "tensorrt" if "GPU" in reason else "tensorrt-rtx"
    assert refusal_of(engine(**changes), HERE) == f"{reason}; build one here: ganport export ... --engines {remedy}"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"compute_capabilities": ("8.0+",)},
        {"compute_capabilities": ("8.9",)},
        {"library": "tensorrt", "library_version": "11.4.0"},
        {"library": "tensorrt", "library_version": "11.4.0", "version_compatible": True},
        {"library": "tensorrt", "library_version": "10.13.3.9", "version_compatible": True},
        {"profiles": ({"bucket": 128}, *({"bucket": bucket} for bucket in BUCKETS))},
    ],
)
def test_a_record_that_fits_is_not_refused(changes: dict[str, Any]) -> None:
    assert refusal_of(engine(**changes), HERE) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"library": "tensorrt", "library_version": "10.13.3.9"},  # version-compatible only where it says so
        {"library": "tensorrt", "library_version": "11.5.0", "version_compatible": True},  # nor with older libraries
        {"library_version": "1.6.0", "version_compatible": True},  # which TensorRT-RTX cannot build
    ],
)
def test_other_versions_run_version_compatible_engines_of_tensorrt_alone(changes: dict[str, Any]) -> None:
    refusal = refusal_of(engine(**changes), HERE)
    assert refusal is not None
    assert refusal.startswith("it was built by ")


def test_a_library_that_is_not_installed_is_named_with_its_extra() -> None:
    bare = dataclasses.replace(HERE, versions={})
    refusal = refusal_of(engine(), bare)
    assert str(refusal).startswith(
        "it needs tensorrt_rtx 1.7.1.116, which is not installed: pip install 'ganport[rtx]'; "
    )
    refusal = refusal_of(engine(library="tensorrt", library_version="11.4.0"), bare)
    assert "pip install 'ganport[tensorrt]'; build one here: ganport export ... --engines tensorrt" in str(refusal)


def test_without_a_gpu_it_is_said_which_one_is_wanted() -> None:
    refusal = refusal_of(engine(), dataclasses.replace(HERE, compute_capability=None))
    assert refusal == "it was built for compute capability 8.6, 8.9, there is no GPU here"  # another would not help
    without = dataclasses.replace(HERE, compute_capability=None, without_gpu="the driver is too old")
    assert refusal_of(engine(), without) == "it was built for compute capability 8.6, 8.9, the driver is too old"


def test_all_reasons_are_told_at_once() -> None:
    odd = engine(
        library_version="1.6.0", platform="win32-amd64", compute_capabilities=("12.0",), profiles=({"bucket": 1},)
    )
    words = (
        "built by tensorrt_rtx 1.6.0, here is",
        "'win32-amd64'",
        "no profile for batch 2, 4",
        "compute capability 12.0, this GPU has 8.9",
        "build one here: ganport export ... --engines tensorrt",
    )
    reasons = str(refusal_of(odd, HERE)).split("; ")
    assert all(word in reason for word, reason in zip(words, reasons, strict=True))


def numbers_of(name: str) -> tuple[int, int]:
    major, minor = name.split(".")
    return int(major), int(minor)


capabilities = st.tuples(st.integers(1, 20), st.integers(0, 9)).map(lambda pair: f"{pair[0]}.{pair[1]}")


@given(has=capabilities, wanted=capabilities, plus=st.booleans())
def test_capabilities_compare_as_numbers(has: str, wanted: str, plus: bool) -> None:
    record = engine(compute_capabilities=(wanted + "+" * plus,))
    fits = numbers_of(has) >= numbers_of(wanted) if plus else has == wanted
    machine = dataclasses.replace(HERE, compute_capability=has)
    assert (refusal_of(record, machine) is None) is fits


@given(st.permutations(BUCKETS))
def test_a_bucket_runs_by_its_own_profile(order: list[int]) -> None:
    numbers = bucket_profiles(engine(profiles=tuple({"bucket": bucket} for bucket in order)))
    assert {number: bucket for bucket, number in numbers.items()} == dict(enumerate(order))
