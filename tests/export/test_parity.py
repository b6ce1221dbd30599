"""Figures of images, logits and features against values computed by hand; gates name the figure that they refuse."""

import math

import numpy as np
import pytest
from ganport_export import ParityError
from ganport_export.discriminator import DISCRIMINATOR_GATES, DiscriminatorParity, measure_discriminator
from ganport_export.generator import GENERATOR_GATES, GeneratorParity, measure_generator
from ganport_export.inputs import Feed
from ganport_export.reference import NetworkReference
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
GATE = GENERATOR_GATES["fp32"]


def gray(*values: int) -> Pixels:
    return np.array(values, np.uint8).reshape(1, 1, -1, 1)


def compared(wanted: Pixels, made: Pixels) -> GeneratorParity:
    """The figures of a graph that makes `made` where the network makes `wanted`, in one batch."""
    known = NetworkReference(1, {"z": np.zeros((len(wanted), 1))}, wanted.transpose(0, 3, 1, 2) / 127.5 - 1)
    return measure_generator(lambda _: made, [known], (len(wanted),))


def test_golden_figures() -> None:
    parity = compared(gray(0, 10, 255, 7), gray(2, 10, 254, 7))
    assert parity.largest_difference == 2
    assert parity.share_off == 0.5
    assert parity.psnr_db == pytest.approx(10 * math.log10(65025 / 1.25))  # mean square (4 + 0 + 1 + 0) / 4


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255)), min_size=1))
def test_figures_have_no_direction_and_agree_with_each_other(pairs: list[tuple[int, int]]) -> None:
    first, second = (gray(*values) for values in zip(*pairs, strict=True))
    parity = compared(first, second)
    assert parity == compared(second, first)
    assert parity.largest_difference == max(abs(a - b) for a, b in pairs)
    assert parity.share_off == sum(a != b for a, b in pairs) / len(pairs)
    assert (parity.share_off == 0) == (parity.psnr_db == 100.0)


def test_images_of_another_shape_or_type_are_refused() -> None:
    with pytest.raises(ParityError, match=r"images are uint8 \(1, 1, 3, 1\), the network's are uint8 \(1, 1, 2, 1\)"):
        compared(gray(1, 2), gray(1, 2, 3))
    with pytest.raises(ParityError, match="images are float32"):
        compared(gray(1, 2), gray(1, 2).astype(np.float32))


def test_pixels_round_half_to_even_clip_and_are_channels_last() -> None:
    values = np.array([-1.2, -1, 0.4 / 127.5 - 1, 0.6 / 127.5 - 1, 0, 1, 1.5]).reshape(1, 1, 1, -1)
    assert NetworkReference(0, {}, values).pixels.ravel().tolist() == [0, 0, 0, 1, 128, 255, 255]
    values = np.linspace(-1, 1, 2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    pixels = NetworkReference(0, {}, values).pixels
    assert pixels.shape == (2, 4, 5, 3)
    assert pixels[1, 2, 3, 0] == round((values[1, 0, 2, 3] + 1) * 127.5)


def references() -> list[NetworkReference]:
    random = np.random.default_rng(0)
    return [
        NetworkReference(
            seed, {"z": random.normal(size=(64, 4)).astype(np.float32)}, random.uniform(-1, 1, (64, 3, 2, 2))
        )
        for seed in (1, 2)
    ]


class Lookup:
    """Answers each latent with the reference's pixels, changed by `change(pixels, batch)`."""

    def __init__(self, known: list[NetworkReference]) -> None:
        pairs = [pair for each in known for pair in zip(each.inputs["z"], each.pixels, strict=True)]
        self.known = {z.tobytes(): image for z, image in pairs}
        self.batches: list[int] = []

    def __call__(self, feed: Feed) -> Pixels:
        self.batches.append(len(feed["z"]))
        return np.stack([self.known[row.tobytes()] for row in feed["z"]])


def test_every_seed_runs_in_every_batch_size() -> None:
    known = references()
    run = Lookup(known)
    parity = measure_generator(run, known)
    assert sorted(run.batches) == [1, 1, 2, 2, 7, 7, 64, 64]
    assert parity == GeneratorParity(0, 100.0, 0.0, 0, images=148, seeds=(1, 2), batches=(1, 2, 7, 64))
    GATE.check("g", parity)


def test_a_graph_that_goes_wrong_in_one_batch_size_is_refused() -> None:
    known = references()
    right = Lookup(known)

    def run(feed: Feed) -> Pixels:
        return right(feed) ^ np.uint8(4 if len(feed["z"]) == 7 else 0)

    parity = measure_generator(run, known)
    assert parity.largest_difference == parity.largest_batch_difference == 4
    assert parity.share_off == pytest.approx(7 / 74)
    with pytest.raises(ParityError, match=r"g is no faithful export: a pixel differs by 4 of 255.*the limit is 1"):
        GATE.check("g", parity)


def figures(**changed: float) -> GeneratorParity:
    good = {"largest_difference": 1, "psnr_db": 55.0, "share_off": 0.2, "largest_batch_difference": 1}
    return GeneratorParity(**{**good, **changed}, images=1, seeds=(1,), batches=(1,))  # type: ignore[arg-type]


def test_gate_takes_what_is_on_its_limits() -> None:
    GATE.check("g", figures())


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"largest_difference": 2}, "a pixel differs by 2 of 255 from the network's, the limit is 1"),
        ({"psnr_db": 54.9}, "PSNR 54.9 dB against the network, the limit is 55 dB"),
        ({"largest_batch_difference": 2}, "differs by 2 of 255 from batch to batch, the limit is 1"),
    ],
)
def test_gate_names_the_figure_and_the_limit(changed: dict[str, float], said: str) -> None:
    with pytest.raises(ParityError) as caught:
        GATE.check("generator-deconv-fp32", figures(**changed))
    assert said in str(caught.value)
    assert "generator-deconv-fp32" in str(caught.value)


Outputs = tuple[NDArray[np.floating], NDArray[np.floating]]
DISCRIMINATOR_GATE = DISCRIMINATOR_GATES["fp32"]
IMAGES = np.random.default_rng(0).integers(0, 256, (64, 2, 2, 1), dtype=np.uint8)


def reference(pixels: Pixels) -> Outputs:
    flat = pixels.reshape(len(pixels), -1).astype(np.float64)
    return flat.sum(1), flat / 1000  # largest logit in the hundreds, features below 1


def test_errors_are_relative_above_one_and_absolute_below() -> None:
    def run(pixels: Pixels) -> Outputs:
        logit, features = reference(pixels)
        return logit + 0.5, features + 0.01

    parity = measure_discriminator(run, reference, (IMAGES, 255 - IMAGES))
    largest = [images.reshape(64, -1).sum(1).max() for images in (IMAGES, 255 - IMAGES)]
    assert parity.logit_error == pytest.approx(0.5 / min(largest))
    assert parity.features_error == pytest.approx(0.01)
    assert (parity.images, parity.batches) == (2 * 74, (1, 2, 7, 64))


def test_an_error_in_one_batch_size_counts() -> None:
    def run(pixels: Pixels) -> Outputs:
        logit, features = reference(pixels)
        return logit, features + (len(pixels) == 2)

    assert measure_discriminator(run, reference, (IMAGES,)).features_error == pytest.approx(1.0)


def test_outputs_of_another_shape_are_refused() -> None:
    def run(pixels: Pixels) -> Outputs:
        logit, features = reference(pixels)
        return logit[:, None], features

    with pytest.raises(ParityError, match=r"shape \(1, 1\), the network's has \(1,\)"):
        measure_discriminator(run, reference, (IMAGES,))


@pytest.mark.parametrize(
    ("logit", "features", "said"),
    [
        (2e-3, 0.0, "logit differ by 0.002"),
        (0.0, 0.5, "features differ by 0.5"),
        (math.nan, 0.0, "logit differ by nan"),
    ],
)
def test_gate_names_the_output(logit: float, features: float, said: str) -> None:
    with pytest.raises(ParityError, match=f"d is no faithful export: {said}.*the limit is 0.001"):
        DISCRIMINATOR_GATE.check("d", DiscriminatorParity(logit, features, 1, (1,)))


def test_discriminator_gate_takes_what_is_on_its_limit() -> None:
    DISCRIMINATOR_GATE.check("d", DiscriminatorParity(1e-3, 1e-3, 1, (1,)))
