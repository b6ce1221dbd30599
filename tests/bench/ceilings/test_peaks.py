import time

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import pytest
from ganport_bench.ceilings import Peak, higher, measure_peaks, products
from ganport_bench.ceilings.int8_product import INPUT, Shape, int8_product
from ganport_bench.ceilings.peaks import PRODUCTS, Maker
from ganport_bench.ceilings.products import Product
from ganport_bench.errors import BenchError
from ganport_bench.timing import Estimate

SHAPE = (32, 48, 16)


def taking(seconds: float) -> Product:
    return lambda: time.sleep(seconds)


def test_the_fastest_product_is_the_peak_and_what_cannot_run_is_told() -> None:
    def broken(_shape: Shape) -> Product:
        raise RuntimeError("no such instruction\nand a long story")

    makers = {
        "fp32": [
            Maker("slow", lambda _shape: taking(0.03)),
            Maker("by depth", lambda shape: taking(shape[1] ** 2 * 0.25e-3)),
            Maker("broken", broken),
        ],
        "int8": [Maker("broken", broken)],
    }
    peaks = measure_peaks(rounds=3, turn_seconds=0.02, shapes=[(10, 4, 10), (10, 12, 10)], makers=makers)
    assert list(peaks) == ["fp32"], "nothing runs in int8"
    peak = peaks["fp32"]
    assert peak.how == "by depth, 10x4x10"
    exact = 2 * 10 * 4 * 10 / 0.004
    assert exact / 4 < peak.operations_per_second.value <= exact, "sleeping takes longer, never less"
    assert set(peak.others) == {"slow, 10x4x10", "slow, 10x12x10", "by depth, 10x12x10"}
    assert peak.refused == {"broken": "no such instruction"}


def peak(precision: str, value: float) -> Peak:
    return Peak(precision, Estimate(value, value, value), "somehow", {}, {})


def test_images_per_second_count_two_operations_a_multiply_add() -> None:
    assert peak("int8", 800e9).images_per_second(100_000_000) == 4000


def test_of_two_measurements_the_higher_one_counts() -> None:
    first = {"fp32": peak("fp32", 100), "bf16": peak("bf16", 300)}
    second = {"fp32": peak("fp32", 120), "bf16": peak("bf16", 250)}
    found = higher(first, second)
    assert {precision: one.operations_per_second.value for precision, one in found.items()} == {
        "fp32": 120,
        "bf16": 300,
    }


@pytest.mark.parametrize("left", ["int8", "uint8"])
def test_an_int8_product_is_what_its_graph_says(left: str) -> None:
    model, factor, wanted = int8_product(SHAPE, left)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {INPUT: factor})
    assert found.dtype == np.dtype(left)
    assert found.shape == (32, 16)
    assert np.abs(found.astype(int) - wanted).max() <= 1
    assert wanted.std() > 20, "a result that uses its range"


@pytest.mark.parametrize("maker", [one for those in PRODUCTS.values() for one in those], ids=lambda one: one.how)
def test_every_library_makes_a_product_that_passes_its_own_check(maker: Maker) -> None:
    try:
        product = maker.make(SHAPE)
    except BenchError as error:  # a processor without bfloat16
        pytest.skip(str(error))
    product()


def test_a_product_that_is_wrong_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def off_by_two(shape: Shape, left: str) -> tuple[bytes, object, object]:
        model, factor, wanted = int8_product(shape, left)
        return model, factor, wanted + 3

    monkeypatch.setattr(products, "int8_product", off_by_two)
    with pytest.raises(BenchError, match="ONNX Runtime int8 is off by"):
        products.by_onnxruntime(SHAPE, left="uint8")
    with pytest.raises(BenchError, match="OpenVINO int8 is off by"):
        products.by_openvino(SHAPE, left="int8")
