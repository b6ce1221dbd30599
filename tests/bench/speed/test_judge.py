import numpy as np
import pytest
from ganport_bench.peers.protocol import Latents, Pixels

from tests.bench.speed.fakes import FakeSession, judge, off_by, right


def test_right_images_are_right_and_run_at_the_batch_size_that_is_timed() -> None:
    session = FakeSession(0.0)
    verdict = judge(32)(session, batch=8, images=20)
    assert verdict.wrong == ""
    assert verdict.psnr_db == 100
    assert verdict.difference is not None
    assert verdict.difference.images == 16
    assert session.batches == {8}


def test_at_least_one_batch_is_compared() -> None:
    verdict = judge(32)(FakeSession(0.0), batch=32, images=8)
    assert verdict.difference is not None
    assert verdict.difference.images == 32


@pytest.mark.parametrize(
    ("precision", "amount", "is_right"),
    [("fp32", 0, True), ("fp32", 1, False), ("bf16", 4, True), ("bf16", 16, False), ("int8", 4, True)],
)
def test_fp32_is_held_to_rounding_and_others_to_the_floor(precision: str, amount: int, is_right: bool) -> None:
    verdict = judge()(FakeSession(0.0, off_by(amount), precision), batch=8, images=16)
    assert (verdict.wrong == "") is is_right
    if not is_right:
        assert f"{precision} must reach a mean of {55 if precision == 'fp32' else 35} dB" in verdict.wrong


def test_one_image_of_noise_among_right_ones_is_wrong() -> None:
    def last_is_noise(z: Latents) -> Pixels:
        return np.concatenate([right(z[:-1]), 255 - right(z[-1:])])

    verdict = judge()(FakeSession(0.0, last_is_noise), batch=8, images=16)
    assert verdict.psnr_db is not None
    assert verdict.psnr_db > 55, "the mean does not show it"
    assert "the worst image 40" in verdict.wrong


def test_images_of_another_kind_are_wrong() -> None:
    def in_floats(z: Latents) -> Pixels:
        return right(z).astype(np.float32)

    def with_channels_first(z: Latents) -> Pixels:
        return right(z).transpose(0, 3, 1, 2)

    for make, wanted in ((in_floats, "float32"), (with_channels_first, r"(8, 3, 4, 4)")):
        verdict = judge()(FakeSession(0.0, make), batch=8, images=16)
        assert wanted in verdict.wrong
        assert verdict.psnr_db is None
