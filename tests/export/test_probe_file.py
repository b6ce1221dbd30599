"""The probe: the network's own pixels and logits, in a file that repeats and that the runtime reads."""

import io

import numpy as np
import pytest
import torch
from ganport_export.bundle_writer import make_probe
from ganport_export.inputs import PROBE_SEED
from ganport_runtime import latents
from ganport_train.networks import DcganDiscriminator, DcganGenerator

from tests.export.user_networks import randomize


@pytest.fixture
def networks() -> tuple[DcganGenerator, DcganDiscriminator]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        generator = DcganGenerator(resolution=16, channels=3, width=4, kernel=4, latent_dim=6)
        discriminator = DcganDiscriminator(resolution=16, channels=3, width=4, kernel=4, batch_norm=True)
    randomize(generator).requires_grad_(False)
    randomize(discriminator).requires_grad_(False)
    return generator, discriminator


def test_probe_holds_what_the_networks_make_in_float64(networks: tuple[DcganGenerator, DcganDiscriminator]) -> None:
    generator, discriminator = networks
    probe = make_probe(generator, 6, discriminator)
    with np.load(io.BytesIO(probe.data), allow_pickle=False) as archive:
        z, image, logit = (archive[name] for name in ("z", "image", "logit"))
        assert len(archive.files) == 3
    assert (z.dtype, image.dtype, logit.dtype) == (np.float32, np.uint8, np.float32)
    assert np.array_equal(z, latents(PROBE_SEED, 0, 8, 6))
    values = generator.double()(torch.from_numpy(z).double()).permute(0, 2, 3, 1).numpy()
    assert np.array_equal(image, np.rint((values + 1) * 127.5))
    pixels = torch.from_numpy(image).double().permute(0, 3, 1, 2) / 127.5 - 1
    np.testing.assert_allclose(logit, discriminator.double()(pixels).numpy(), rtol=1e-6)
    assert image.std() > 5
    assert (probe.entry.file, probe.entry.images) == ("probe.npz", 8)


def test_probe_repeats_and_has_no_logits_without_a_discriminator(
    networks: tuple[DcganGenerator, DcganDiscriminator],
) -> None:
    first, again = (make_probe(networks[0], 6) for _ in range(2))
    assert first == again
    with np.load(io.BytesIO(first.data), allow_pickle=False) as archive:
        assert sorted(archive.files) == ["image", "z"]
