import numpy as np
import pytest
from ganport_bench.null_backend import measure_overhead, null_generator
from ganport_runtime import ClosedError, InputError, latents

SHAPE, LATENT_DIM = (8, 6, 3), 5


@pytest.mark.parametrize("count", [0, 1, 3, 64, 130])
def test_calls_take_the_generators_own_way(count: int) -> None:
    """Padding, splitting and putting together happen: any number comes back, in the shape of finished images."""
    with null_generator(SHAPE, LATENT_DIM) as generator:
        images = generator(latents(1, 0, count, LATENT_DIM))
    assert images.shape == (count, *SHAPE)
    assert images.dtype == np.uint8


def test_checks_are_the_generators_own() -> None:
    generator = null_generator(SHAPE, LATENT_DIM)
    with pytest.raises(InputError, match="float64"):
        generator(np.zeros((2, LATENT_DIM)))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="NaN"):
        generator(np.full((2, LATENT_DIM), np.nan, np.float32))
    generator.close()
    with pytest.raises(ClosedError):
        generator(latents(1, 0, 1, LATENT_DIM))


def test_every_batch_size_is_measured_as_the_document_has_it() -> None:
    found = [one.to_json() for one in measure_overhead(SHAPE, LATENT_DIM, (1, 5, 130), rounds=3)]
    assert [(one["system"], one["batch"]) for one in found] == [("null backend", batch) for batch in (1, 5, 130)]
    for one in found:
        assert 0 < one["microseconds"]["low"] <= one["microseconds"]["value"] <= one["microseconds"]["high"]
