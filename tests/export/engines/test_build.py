"""Engines built for real: what is in them, what their records say, and what is refused in one line."""

import hashlib
import json
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import onnx
import pytest
from ganport_export import ExportError
from ganport_export.engines import BuiltEngine, Target, build_engines
from ganport_runtime.manifest import CompiledEngine, Fields, Variant

from tests.support.typed_graphs import LATENT, Source, graph, source

pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx, which builds engines, has no wheel for this platform")

VERSION = version("tensorrt_rtx")
BUCKETS = (1, 2, 4, 8, 16, 32, 64)


def refusal(*sources: Source, **options: Any) -> str:
    """The one line that building fails with."""
    with pytest.raises(ExportError) as caught:
        build_engines(sources, ["tensorrt-rtx"], lambda _: None, **options)
    line = str(caught.value)
    assert "\n" not in line
    return line


def with_data(data: bytes) -> Source:
    digest = hashlib.sha256(data).hexdigest()
    return Source(Variant("generator-own", "generator", "own.onnx", digest, "fp32", "deconv"), data)


@pytest.mark.parametrize(
    ("precision", "layers"),
    [
        ("fp32", {"deconvolution/fp32": 14, "matrix product/fp32": 6}),  # 2 and 1 a profile; one image needs no product
        ("fp16", {"deconvolution/fp16": 14, "matrix product/fp16": 6}),
        ("int8", {"convolution/int8": 56, "matrix product/int8": 7}),
    ],
)
def test_an_engine_computes_in_the_precision_of_its_graph(
    engines: Mapping[str, BuiltEngine], precision: str, layers: dict[str, int]
) -> None:
    assert engines[precision].engine.details["layers"] == layers
    assert engines[precision].engine.details["verified_by"] == "engine"


def test_the_record_says_what_was_built_of_what_for_what(engines: Mapping[str, BuiltEngine]) -> None:
    variant, built = source("phase", "s8s8").variant, engines["int8"]
    record = built.engine
    assert (record.id, record.variant) == ("generator-phase-int8-s8s8-tensorrt_rtx", variant.id)
    assert record.file == f"engines/{record.id}.engine"
    assert record.sha256 == hashlib.sha256(built.data).hexdigest()
    assert (record.library, record.library_version) == ("tensorrt_rtx", VERSION)
    assert record.compute_capabilities == ("8.0", "8.6", "8.9", "12.0", "12.1")
    shapes = [[bucket, LATENT] for bucket in BUCKETS]
    assert record.profiles == tuple({"bucket": shape[0], "min": shape, "opt": shape, "max": shape} for shape in shapes)
    details = {key: record.details[key] for key in ("platform", "precision", "source_sha256")}
    assert details == {
        "platform": f"{sys.platform}-{platform.machine()}",
        "precision": "int8",
        "source_sha256": variant.sha256,
    }
    assert (record.details["hardware_compatible"], record.details["version_compatible"]) == (False, False)


def test_the_record_survives_the_manifest(engines: Mapping[str, BuiltEngine]) -> None:
    for built in engines.values():
        assert CompiledEngine.read(Fields(json.loads(json.dumps(built.engine.to_json())))) == built.engine


def test_progress_is_told_as_lines_of_what_is_done() -> None:
    lines: list[str] = []
    build_engines([source("deconv", "fp32")], ["tensorrt-rtx"], pytest.fail, progress=lines.append)
    assert lines[0] == "generator-deconv-fp32 by tensorrt_rtx: building engine"
    assert any("optimizing graph, 1 of " in line for line in lines)
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupt_while_it_builds_ends_the_build(error: type[BaseException]) -> None:
    calls: list[str] = []

    def stop(line: str) -> None:
        calls.append(line)
        raise error

    with pytest.raises(error):
        build_engines([source("deconv", "fp32")], ["tensorrt-rtx"], pytest.fail, progress=stop)
    assert len(calls) == 1


def test_named_capabilities_are_what_it_is_built_for() -> None:
    (built,) = build_engines(
        [source("deconv", "fp16")], ["tensorrt-rtx"], pytest.fail, target=Target(compute_capabilities=("7.5",))
    )
    assert built.engine.compute_capabilities == ("7.5",)
    assert b"accelerators={sm75 }" in built.data


def test_a_hardware_compatible_engine_names_every_later_capability_too() -> None:
    target = Target(hardware_compatible=True)
    (built,) = build_engines([source("deconv", "fp32")], ["tensorrt-rtx"], pytest.fail, target=target)
    assert built.engine.compute_capabilities == ("8.0+",)
    assert built.engine.details["hardware_compatible"] is True
    assert b"hardware_forward_compatibility=1" in built.data


def test_float32_is_not_rounded_to_tf32(engines: Mapping[str, BuiltEngine]) -> None:
    assert b"tf32=0" in engines["fp32"].data
    assert b"tf32=1" not in engines["fp32"].data


@pytest.mark.parametrize(
    ("given", "called", "has"),
    [("fp32", "fp16", "fp32"), ("fp32", "int8", "fp32"), ("fp16", "fp32", "fp16"), ("fp16", "int8", "fp16")],
)
def test_a_graph_of_another_precision_than_its_name_is_an_error(given: Any, called: str, has: str) -> None:
    line = refusal(source("deconv", given, called=called))
    assert line == (
        f"generator-deconv-{called} is called {called} and its graph has 2 deconvolution/{has}, "
        f"1 matrix product/{has}; export the graph again"
    )


def test_an_int8_graph_that_would_run_in_float_gets_no_engine_and_a_word() -> None:
    lines: list[str] = []
    sources = [source("deconv", "s8s8"), source("phase", "s8s8"), source("phase", "u8s8")]
    built = build_engines(sources, ["tensorrt-rtx"], lines.append)
    assert [one.engine.variant for one in built] == ["generator-phase-int8-s8s8"]
    deconv, asymmetric = lines
    assert deconv.startswith(
        f"no engine of generator-deconv-int8-s8s8: tensorrt_rtx {VERSION} has no int8 kernel for its "
        "deconvolution and would run 14 deconvolution/fp32"
    )
    assert asymmetric.startswith("no engine of generator-phase-int8-u8s8: ")
    assert asymmetric.endswith(" takes symmetric int8 alone, which is s8s8")


def test_no_engine_at_all_is_an_error() -> None:
    assert refusal() == "no graph is there to build engines of: export the form deconv or phase too"
    line = refusal(source("deconv", "s8s8"), source("phase", "u8s8"))
    assert "can build none of generator-deconv-int8-s8s8, generator-phase-int8-u8s8" in line


def test_a_cast_to_uint8_that_is_not_last_is_named() -> None:
    line = refusal(with_data(graph("deconv", "fp32", cast_last=False).SerializeToString()))
    name = next(node.name for node in graph("deconv", "fp32", cast_last=False).graph.node if node.op_type == "Cast")
    assert f"cannot read generator-own: node {name} (Cast): " in line
    assert "does not support UINT8 types for intermediate tensors" in line


def without_a_free_batch() -> bytes:
    model = graph("deconv", "fp32")
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 4
    return bytes(model.SerializeToString())


def with_an_unknown_operator() -> bytes:
    model = graph("deconv", "fp32")
    model.graph.node[1].op_type = "Sorcery"
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"no graph at all", "Failed to parse the ONNX model."),
        (graph("deconv", "fp32").SerializeToString()[:5000], "Failed to parse the ONNX model."),
        (b"", "its inputs have the shapes none"),
        (onnx.ModelProto().SerializeToString(), "its inputs have the shapes none"),
        (without_a_free_batch(), "its inputs have the shapes (4, 8) (-1 is free), wanted one whose first size alone"),
        (with_an_unknown_operator(), "(Sorcery): "),
    ],
)
def test_a_file_that_is_no_graph_for_it_is_refused_in_one_line(data: bytes, message: str) -> None:
    line = refusal(with_data(data))
    assert message in line
    assert "generator-own" in line


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (Target(compute_capabilities=("9.0",)), "cannot build for 9.0, it knows 7.5, 8.0, 8.6, 8.9, 12.0, 12.1"),
        (Target(compute_capabilities=("8.6",), hardware_compatible=True), "choose one of them"),
        (Target(version_compatible=True), "cannot build engines for later versions of itself"),
        (Target(compute_capabilities=("7.5",)), "cannot build generator-deconv-fp32: "),  # no fp32 products on Turing
    ],
)
def test_a_target_that_it_cannot_build_for_is_refused(target: Target, message: str) -> None:
    assert message in refusal(source("deconv", "fp32"), target=target)


def test_a_library_that_is_not_installed_is_refused_before_anything_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    built: list[str] = []
    with pytest.raises(ExportError, match=r"tensorrt is not installed .*; pip install 'ganport\[tensorrt\]'"):
        build_engines([source("deconv", "fp32")], ["tensorrt-rtx", "tensorrt"], progress=built.append)
    assert not built
