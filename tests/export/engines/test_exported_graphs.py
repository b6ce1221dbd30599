"""Engines of graphs that our own passes made: the phases, half precision and the symmetric int8 that engines want."""

import hashlib
from typing import Any

import onnx
import onnx_ir
import pytest
from ganport_export.engines import build_engines
from ganport_export.passes.name_plainly import name_plainly
from ganport_export.passes.to_half import to_half
from ganport_export.passes.to_phase import to_phase
from ganport_export.quantize import quantize
from ganport_runtime.latents import latents
from ganport_runtime.manifest import Variant

from tests.export.quantize.networks import exact_int8
from tests.support.typed_graphs import LATENT, Source, graph

pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx, which builds engines, has no wheel for this platform")


def of(model: onnx_ir.Model, precision: str) -> Source:
    data = onnx_ir.serde.serialize_model(model).SerializeToString()
    name = f"generator-phase-{precision}"
    digest = hashlib.sha256(data).hexdigest()
    return Source(Variant(name, "generator", f"{name}.onnx", digest, precision, "phase"), data)


@pytest.fixture(scope="module")
def phase() -> onnx_ir.Model:
    model = onnx_ir.serde.deserialize_model(onnx.load_from_string(graph("deconv", "fp32").SerializeToString()))
    assert to_phase(model) == ()
    name_plainly(model)
    return model


def layers_of(model: onnx_ir.Model, precision: str) -> Any:
    (built,) = build_engines([of(model, precision)], ["tensorrt-rtx"], pytest.fail)
    return built.engine.details["layers"]


def test_phases_in_fp32_and_fp16(phase: onnx_ir.Model) -> None:
    assert layers_of(phase, "fp32") == {"convolution/fp32": 56, "matrix product/fp32": 6}
    half = phase.clone()
    to_half(half, [{"z": latents(0, 0, 8, LATENT)}], threads=1)
    name_plainly(half)
    assert layers_of(half, "fp16") == {"convolution/fp16": 56, "matrix product/fp16": 6}


@exact_int8
def test_phases_in_int8(phase: onnx_ir.Model) -> None:
    calibration, held_out = ([{"z": latents(seed, 0, 8, LATENT)}] for seed in (0, 1))
    made = quantize(phase, "s8s8", calibration=calibration, held_out=held_out, target_db=0.0)
    assert layers_of(made.model, "int8") == {"convolution/int8": 56, "matrix product/int8": 7}
