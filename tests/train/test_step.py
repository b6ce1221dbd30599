"""One training step against the same arithmetic written out plainly."""

import copy
import dataclasses
from pathlib import Path

import pytest
import torch
from ganport_train.config import TrainingConfig
from ganport_train.losses import LOSSES
from ganport_train.randomness import batch_indices, draw_latents
from ganport_train.step import FIGURES, TrainingState, initial_state, training_step
from torch import Tensor
from torch.nn import functional


def inputs(step: int) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(step)
    return torch.rand(8, 3, 16, 16, generator=random) * 2 - 1, torch.randn(8, 8, generator=random)


def plain_penalty(state: TrainingState, images: Tensor) -> Tensor:
    """Mean squared gradient norm, one image at a time."""
    total = torch.zeros(())
    for image in images:
        point = image[None].clone().requires_grad_()
        (gradient,) = torch.autograd.grad(state.discriminator(point).sum(), point, create_graph=True)
        total = total + (gradient**2).sum()
    return total / len(images)


def plain_step(state: TrainingState, real: Tensor, z: Tensor, gamma: float) -> list[float]:
    """A relativistic step as the paper writes it, in separate passes and with gradients wherever they go."""
    d, g = state.discriminator, state.generator
    fake = g(z)
    loss_d = functional.binary_cross_entropy_with_logits(d(real) - d(fake.detach()), torch.ones(8))
    penalty = gamma / 2 * (plain_penalty(state, real) + plain_penalty(state, fake.detach()))
    d.zero_grad()
    torch.autograd.backward(loss_d + penalty)
    logits = float(d(real).detach().mean()), float(d(fake).detach().mean())
    state.discriminator_optimizer.step()
    loss_g = functional.binary_cross_entropy_with_logits(d(fake) - d(real), torch.ones(8))
    g.zero_grad()
    torch.autograd.backward(loss_g)
    state.generator_optimizer.step()
    return [float(loss_d.detach()), float(loss_g.detach()), float(penalty.detach()), *logits]


@pytest.fixture
def config(tiny: TrainingConfig) -> TrainingConfig:
    return dataclasses.replace(tiny, channels=3)


def test_a_step_is_what_the_paper_says(config: TrainingConfig) -> None:
    state, plain = initial_state(config), initial_state(config)
    for step in range(1, 5):
        figures = training_step(state, *inputs(step), config)
        expected = plain_step(plain, *inputs(step), config.penalty)
        assert len(figures) == len(FIGURES)
        torch.testing.assert_close(figures, torch.tensor(expected), rtol=1e-4, atol=1e-5)
    for one, other in ((state.generator, plain.generator), (state.discriminator, plain.discriminator)):
        for name, parameter in one.named_parameters():
            torch.testing.assert_close(parameter, other.get_parameter(name), rtol=0, atol=1e-5)


def test_each_network_learns_in_its_own_part_and_the_average_follows(config: TrainingConfig) -> None:
    state = initial_state(config)
    before = copy.deepcopy(state)
    training_step(state, *inputs(1), config)
    assert state.step == 1
    for name in ("generator", "discriminator", "averaged"):
        pairs = zip(getattr(state, name).parameters(), getattr(before, name).parameters(), strict=True)
        assert any(not torch.equal(one, other) for one, other in pairs), name
    assert all(parameter.requires_grad for parameter in state.discriminator.parameters())


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("batch_norm", [False, True])
def test_every_loss_trains_with_and_without_norm(config: TrainingConfig, loss: str, batch_norm: bool) -> None:
    config = TrainingConfig.from_json(
        {**config.to_json(), "loss": loss, "penalty": 0.0, "discriminator_batch_norm": batch_norm}
    )
    state = initial_state(config)
    figures = [training_step(state, *inputs(step), config) for step in range(1, 4)]
    assert torch.isfinite(torch.stack(figures)).all()
    assert all(row[2] == 0 for row in figures)


def test_the_discriminator_learns_to_tell_real_from_generated(config: TrainingConfig) -> None:
    state = initial_state(config)
    for step in range(1, 40):
        figures = training_step(state, *inputs(step), config)
    named = dict(zip(FIGURES, figures.tolist(), strict=True))
    assert named["logit_real"] > named["logit_fake"]
    assert named["loss_discriminator"] < 0.69


def test_building_networks_leaves_the_callers_random_numbers_alone(config: TrainingConfig) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    initial_state(config)
    assert torch.equal(torch.rand(3), expected)


def test_an_epoch_shows_every_image_once_and_the_next_in_another_order() -> None:
    epochs = [[batch_indices(1, step, 5, 20) for step in range(first, first + 4)] for first in (1, 5)]
    orders = [torch.cat(epoch).tolist() for epoch in epochs]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(20))
    assert orders[0] != orders[1]


def test_images_beyond_whole_batches_change_from_epoch_to_epoch() -> None:
    left_out = {tuple(sorted(set(range(7)) - set(batch_indices(1, step, 5, 7).tolist()))) for step in range(1, 9)}
    assert len(left_out) > 1


def test_latents_differ_by_seed_step_and_purpose_and_repeat() -> None:
    drawn = [draw_latents(s, p, i, 4, 3) for s in (0, 1) for p in ("training", "samples") for i in (0, 1)]
    for index, one in enumerate(drawn):
        assert sum(torch.equal(one, other) for other in drawn) == 1, index
    assert torch.equal(draw_latents(0, "training", 0, 4, 3), drawn[0])
    many = draw_latents(0, "training", 9, 20_000, 2)
    assert abs(float(many.mean())) < 0.02
    assert abs(float(many.std()) - 1) < 0.02


def test_untrained_runs_of_two_seeds_differ(config: TrainingConfig, tmp_path: Path) -> None:
    one, other = initial_state(config), initial_state(dataclasses.replace(config, seed=1))
    assert not torch.equal(one.generator.project.weight, other.generator.project.weight)
    assert torch.equal(one.generator.project.weight, initial_state(config).generator.project.weight)
