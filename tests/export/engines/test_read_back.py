"""Reading an engine back: by its own text, by TensorRT's inspector, and what is made of what was read."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from ganport_export import ExportError
from ganport_export.engines import BuiltEngine, PrecisionError, UnsupportedPrecisionError, load_library
from ganport_export.engines.verification import check_engine, products_of, read_back, read_programs

pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx, which builds engines, has no wheel for this platform")

CONV, DECONV, GEMM = "convolution", "deconvolution", "matrix product"


def test_the_text_of_an_engine_says_what_it_was_built_for(engines: Mapping[str, BuiltEngine]) -> None:
    programs = read_programs(engines["fp16"].data)
    assert programs is not None
    assert programs.compute_capabilities == {"8.0", "8.6", "8.9", "12.0", "12.1"}
    assert programs.products == {(DECONV, "fp16"): 14, (GEMM, "fp16"): 6}


@pytest.mark.parametrize("data", [b"", b"nothing of the kind", b"header {\n"])
def test_where_there_is_no_such_text_nothing_is_read(data: bytes) -> None:
    programs = read_programs(data)
    assert programs is None or not programs.products


def test_a_cut_engine_is_read_as_far_as_it_goes(engines: Mapping[str, BuiltEngine]) -> None:
    data = engines["fp32"].data
    for size in range(0, len(data), len(data) // 20):
        programs = read_programs(data[:size])
        assert programs is None or programs.products.keys() <= {(DECONV, "fp32"), (GEMM, "fp32")}


def test_an_engine_for_other_gpus_than_asked_for_is_an_error(engines: Mapping[str, BuiltEngine]) -> None:
    library = load_library("tensorrt-rtx")
    with pytest.raises(ExportError, match=r"was to build for 8\.6 and built for 12\.0, 12\.1, 8\.0, 8\.6, 8\.9"):
        read_back(engines["fp32"].data, library, None, tf32=False, capabilities=("8.6",))
    found = read_back(engines["fp32"].data, library, None, tf32=False, capabilities=("8.0+",))
    assert found == {(DECONV, "fp32"): 14, (GEMM, "fp32"): 6}


def test_tf32_where_it_was_switched_off_is_an_error(engines: Mapping[str, BuiltEngine]) -> None:
    library, data = load_library("tensorrt-rtx"), engines["fp16"].data  # where it may be on: b"tf32=1"
    capabilities = engines["fp16"].engine.compute_capabilities
    assert read_back(data, library, None, tf32=True, capabilities=capabilities)
    with pytest.raises(PrecisionError, match="rounds float32 to TF32"):
        read_back(data, library, None, tf32=False, capabilities=capabilities)


@pytest.mark.parametrize(
    ("asked", "network", "engine"),
    [
        ("fp32", {(GEMM, "fp32"): 1}, {(GEMM, "fp32"): 7}),
        ("fp16", {(GEMM, "fp16"): 1, (CONV, "fp32"): 1}, {(GEMM, "fp16"): 7, (CONV, "fp32"): 7}),
        ("int8", {(CONV, "int8"): 4, (GEMM, "fp32"): 1}, {(CONV, "int8"): 4, (GEMM, "fp32"): 1}),
        ("int8", {(CONV, "int8"): 4, (CONV, "fp32"): 1}, {(CONV, "int8"): 28, (CONV, "fp32"): 7}),
        ("int8", {(CONV, "int8"): 4, (GEMM, "int8"): 1}, {(CONV, "int8"): 4}),
    ],
)
def test_engines_that_keep_what_was_asked_for_pass(asked: str, network: Any, engine: Any) -> None:
    assert check_engine("g", asked, load_library("tensorrt-rtx"), network, engine) == (engine, "engine")


@pytest.mark.parametrize(
    ("asked", "network", "engine", "error"),
    [
        ("fp32", {(GEMM, "fp32"): 1}, {(GEMM, "fp16"): 1}, PrecisionError),
        ("fp32", {(GEMM, "fp32"): 2}, {(GEMM, "fp32"): 1, (GEMM, "bf16"): 1}, PrecisionError),
        ("fp16", {(GEMM, "fp16"): 1}, {(GEMM, "fp32"): 1}, PrecisionError),
        ("fp16", {(GEMM, "fp16"): 2}, {(GEMM, "fp16"): 1, (GEMM, "fp32"): 1}, PrecisionError),
        ("fp16", {(GEMM, "fp16"): 1, (CONV, "fp32"): 1}, {(CONV, "fp32"): 1}, PrecisionError),
        ("int8", {(CONV, "int8"): 1, (GEMM, "fp32"): 1}, {(GEMM, "fp32"): 1}, PrecisionError),
        ("int8", {(CONV, "int8"): 1}, {(CONV, "fp32"): 1}, UnsupportedPrecisionError),
        ("int8", {(CONV, "int8"): 84}, {(CONV, "int8"): 1, (CONV, "fp32"): 83}, UnsupportedPrecisionError),
        ("fp16", {(CONV, "fp16"): 8, (CONV, "fp32"): 1}, {(CONV, "fp16"): 7, (CONV, "fp32"): 56}, PrecisionError),
        ("int8", {(DECONV, "int8"): 1, (GEMM, "int8"): 1}, {(DECONV, "fp32"): 1, (GEMM, "int8"): 1},
         UnsupportedPrecisionError),
    ],
)  # fmt: skip
def test_engines_that_came_out_otherwise_are_errors(
    asked: str, network: Any, engine: Any, error: type[PrecisionError]
) -> None:
    with pytest.raises(PrecisionError) as caught:
        check_engine("g", asked, load_library("tensorrt-rtx"), network, engine)
    assert type(caught.value) is error


def test_products_may_be_merged_in_every_profile_and_no_more_may_be_float() -> None:
    library, network = load_library("tensorrt-rtx"), {(CONV, "int8"): 4, (CONV, "fp32"): 1}
    merged = {(CONV, "int8"): 14, (CONV, "fp32"): 7}
    assert check_engine("g", "int8", library, network, merged, programs=7) == (merged, "engine")
    with pytest.raises(UnsupportedPrecisionError, match="no int8 kernel for its convolution and would run 8 conv"):
        check_engine("g", "int8", library, network, {(CONV, "int8"): 27, (CONV, "fp32"): 8}, programs=7)


def test_where_the_engine_cannot_be_read_the_network_stands_for_it() -> None:
    network = {(GEMM, "fp16"): 1}
    assert check_engine("g", "fp16", load_library("tensorrt-rtx"), network, None) == (network, "network")


OF_10 = [
    {"Name": "up", "LayerType": "CaskDeconvolution",
     "Inputs": [{"Name": "x", "Format/Datatype": "Channel major FP16 format where channel % 8 == 0"}]},
    {"Name": "down", "LayerType": "CaskConvolution",
     "Inputs": [{"Name": "x", "Format/Datatype": "Thirty-two wide channel vectorized row major Int8 format"}]},
    {"Name": "dense", "LayerType": "gemm", "Inputs": [{"Name": "x", "Format/Datatype": "Row major linear FP32"}]},
    {"Name": "pixels", "LayerType": "PointWise", "Inputs": [{"Name": "x", "Format/Datatype": "Row major FP32"}]},
    "a layer of which the name alone is told",
]  # fmt: skip
OF_11 = [
    {"Name": "up", "LayerType": "conv", "Inputs": [{"Name": "x", "Format": "kLINEAR", "DataType": "Half"}]},
    {"Name": "dense", "LayerType": "MatrixMultiply", "Inputs": [{"Name": "x", "DataType": "BFloat16"}]},
    {"Name": "without inputs", "LayerType": "conv", "Inputs": []},
]


@pytest.mark.parametrize(
    ("layers", "products"),
    [
        (OF_10, {(DECONV, "fp16"): 1, (CONV, "int8"): 1, (GEMM, "fp32"): 1}),
        (OF_11, {(CONV, "fp16"): 1, (GEMM, "bf16"): 1}),
        ([], {}),
    ],
)
def test_the_inspectors_json_of_tensorrt_10_and_11_is_read(layers: list[Any], products: Any) -> None:
    assert products_of(json.dumps({"Layers": layers, "Bindings": ["z", "image"]})) == products
