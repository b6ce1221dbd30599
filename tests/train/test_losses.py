"""Losses and penalties against values worked out another way."""

import pytest
import torch
from ganport_train.losses import LOSSES, gradient_penalty
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

REAL, FAKE = (1.5, -0.5), (-2.0, 0.25)


# Worked out with awk from the formulas in the docstrings, to five digits.
DIGITS = {
    ("relativistic", "discriminator"): 0.58331,
    ("relativistic", "generator"): 1.95831,
    ("non_saturating", "discriminator"): 1.06418,
    ("non_saturating", "generator"): 1.35143,
    ("minimax", "discriminator"): 1.06418,
    ("minimax", "generator"): -0.47643,
}


@pytest.mark.parametrize(("loss", "network"), DIGITS)
def test_golden_values(loss: str, network: str) -> None:
    value = float(getattr(LOSSES[loss], network)(torch.tensor(REAL), torch.tensor(FAKE)))
    assert abs(value - DIGITS[loss, network]) < 1e-5


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("size", [100.0, 1e4])
def test_large_logits_stay_finite(loss: str, size: float) -> None:
    for sign in (1.0, -1.0):
        real, fake = torch.tensor([sign * size]), torch.tensor([-sign * size])
        assert torch.isfinite(LOSSES[loss].discriminator(real, fake))
        assert torch.isfinite(LOSSES[loss].generator(real, fake))


def generator_slope(loss: str, logit: float) -> float:
    """d loss / d logit of the generator's loss at one generated image, the real one's logit being 0."""
    fake = torch.tensor([logit], requires_grad=True)
    (gradient,) = torch.autograd.grad(LOSSES[loss].generator(torch.zeros(1), fake), fake)
    return float(gradient)


@given(st.floats(-30, 30))
def test_every_generator_wants_larger_logits(logit: float) -> None:
    assert all(generator_slope(loss, logit) < 0 for loss in LOSSES)


def test_minimax_saturates_where_the_discriminator_is_sure_and_the_others_do_not() -> None:
    assert abs(generator_slope("minimax", -10.0)) < 1e-4
    assert abs(generator_slope("non_saturating", -10.0) + 1) < 1e-4
    assert abs(generator_slope("relativistic", -10.0) + 1) < 1e-4


def test_only_the_pairing_loss_forgets_a_common_offset() -> None:
    real, fake = torch.tensor(REAL), torch.tensor(FAKE)
    for name, loss in LOSSES.items():
        moved = loss.discriminator(real + 3, fake + 3)
        assert torch.isclose(moved, loss.discriminator(real, fake)) == (name == "relativistic")


def test_penalty_of_a_linear_discriminator_is_its_weight_squared() -> None:
    weight = torch.tensor([[1.0, -2.0, 0.5, 3.0]])
    images = torch.randn(6, 1, 2, 2, requires_grad=True)
    logits = (images.flatten(1) @ weight.T).squeeze(1)
    # the gradient is the weight at each image: gamma / 2 * (|w|^2 + |w|^2)
    assert abs(float(gradient_penalty(logits, images, 10.0).detach()) - 10.0 * 14.25) < 1e-3


def test_penalty_sums_the_means_over_real_and_over_generated_images() -> None:
    images = torch.tensor([[1.0], [2.0], [3.0], [5.0]], requires_grad=True)  # 2 real, then 2 generated
    logits = images.square().squeeze(1)  # gradients 2, 4, 6, 10
    expected = 0.5 / 2 * ((4 + 16) / 2 + (36 + 100) / 2)
    assert abs(float(gradient_penalty(logits, images, 0.5).detach()) - expected) < 1e-5


def test_penalty_can_be_minimized() -> None:
    layer = nn.Linear(3, 1)
    images = torch.randn(4, 3, requires_grad=True)

    def penalty() -> Tensor:
        return gradient_penalty(layer(images).squeeze(1), images, 2.0)

    before = float(penalty().detach())
    torch.autograd.backward(penalty())
    assert layer.weight.grad is not None
    torch.testing.assert_close(layer.weight.grad, 4 * layer.weight)  # d (2 |w|^2) / d w
    with torch.no_grad():
        layer.weight -= 0.1 * layer.weight.grad
    assert float(penalty().detach()) < before
