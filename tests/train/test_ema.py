"""The averaged generator and its batch-norm statistics."""

import copy

import numpy as np
import pytest
import torch
from ganport_train.ema import calibrate, update
from ganport_train.networks import DcganGenerator, initialize


@pytest.fixture
def generator() -> DcganGenerator:
    network = DcganGenerator(resolution=16, channels=3, width=4, kernel=4, latent_dim=8)
    initialize(network, "he", torch.Generator().manual_seed(1))
    return network


def latents(count: int = 4) -> list[torch.Tensor]:
    return [torch.randn(32, 8, generator=torch.Generator().manual_seed(index)) for index in range(count)]


def test_the_average_follows_its_formula(generator: DcganGenerator) -> None:
    averaged, live = copy.deepcopy(generator), copy.deepcopy(generator)
    expected = {name: parameter.detach().double().numpy() for name, parameter in averaged.named_parameters()}
    for step in range(1, 60):
        with torch.no_grad():
            for parameter in live.parameters():
                parameter.add_(0.1)
        update(averaged, live, 0.8, step)
        decay = min(0.8, (1 + step) / (10 + step))
        for name, parameter in live.named_parameters():
            expected[name] = decay * expected[name] + (1 - decay) * parameter.detach().double().numpy()
    for name, parameter in averaged.named_parameters():
        np.testing.assert_allclose(parameter.detach().numpy(), expected[name], rtol=0, atol=1e-5)


def test_averaging_leaves_the_live_generator_and_the_statistics_alone(generator: DcganGenerator) -> None:
    averaged = copy.deepcopy(generator)
    before = copy.deepcopy(generator.state_dict())
    generator.project_norm.running_mean.fill_(5)  # type: ignore[union-attr]
    update(averaged, generator, 0.5, 1)
    assert averaged.project_norm.running_mean is not None
    assert averaged.project_norm.running_mean.abs().max() == 0
    for name, parameter in generator.named_parameters():
        assert torch.equal(parameter, before[name])


def test_statistics_belong_to_the_weights(generator: DcganGenerator) -> None:
    """Mean and variance of what the weights make of the latents, worked out here in numpy in float64."""
    calibrate(generator, latents())
    weight = generator.project.weight.detach().double().numpy()
    means, variances = [], []
    for batch in latents():
        maps = (batch.double().numpy() @ weight.T).reshape(32, -1, 4, 4)
        means.append(maps.mean(axis=(0, 2, 3)))
        variances.append(maps.var(axis=(0, 2, 3), ddof=1))
    norm = generator.project_norm
    assert norm.running_mean is not None
    assert norm.running_var is not None
    np.testing.assert_allclose(norm.running_mean.numpy(), np.mean(means, axis=0), rtol=0, atol=1e-5)
    np.testing.assert_allclose(norm.running_var.numpy(), np.mean(variances, axis=0), rtol=1e-5, atol=0)


def test_a_calibrated_generator_shows_what_it_shows_in_a_large_training_batch(generator: DcganGenerator) -> None:
    z = torch.cat(latents(16))
    with torch.no_grad():
        in_training = copy.deepcopy(generator).train()(z)
        before = generator.eval()(z)
        after = calibrate(generator, z.split(32))(z)  # type: ignore[no-untyped-call]
    assert (after - in_training).abs().mean() < 0.02
    assert (before - in_training).abs().mean() > 5 * (after - in_training).abs().mean()


def test_statistics_change_with_the_weights_and_do_not_remember_earlier_ones(generator: DcganGenerator) -> None:
    fresh = copy.deepcopy(generator)
    with torch.no_grad():
        generator.project.weight.mul_(3)
    scaled = copy.deepcopy(calibrate(generator, latents()).project_norm.running_var)
    with torch.no_grad():
        generator.project.weight.copy_(fresh.project.weight)
    again, first = calibrate(generator, latents()).state_dict(), calibrate(fresh, latents()).state_dict()
    assert again.keys() == first.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, again[name]), name
    assert scaled is not None
    assert fresh.project_norm.running_var is not None
    torch.testing.assert_close(scaled, 9 * fresh.project_norm.running_var)
