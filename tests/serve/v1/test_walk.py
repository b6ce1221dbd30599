"""`/v1/walk`: from one image to another, along the arc between their latents."""

import io
import math

import httpx
import numpy as np
import pytest
from ganport_runtime import Generator, latents
from ganport_serve.v1 import slerp
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

WALK = "/v1/walk?from=5&from_index=2&to=8&to_index=1&steps=9&format=npy"


def images(client: httpx.Client, path: str) -> NDArray[np.uint8]:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    found: NDArray[np.uint8] = np.load(io.BytesIO(answer.content), allow_pickle=False)
    return found


def arc(first: NDArray[np.float32], last: NDArray[np.float32], t: float) -> list[float]:
    """Shoemake's formula, number by number."""
    dot = math.fsum(float(a) * float(b) for a, b in zip(first, last, strict=True))
    angle = math.acos(dot / math.sqrt(math.fsum(float(a) ** 2 for a in first) * math.fsum(float(b) ** 2 for b in last)))
    shares = math.sin((1 - t) * angle) / math.sin(angle), math.sin(t * angle) / math.sin(angle)
    return [shares[0] * float(a) + shares[1] * float(b) for a, b in zip(first, last, strict=True)]


def test_its_ends_are_the_images_themselves(client: httpx.Client, generator: Generator) -> None:
    walk = images(client, WALK)
    assert walk.shape == (9, 8, 8, 3)
    np.testing.assert_array_equal(walk[0], generator.sample(1, seed=5, start=2)[0])
    np.testing.assert_array_equal(walk[-1], generator.sample(1, seed=8, start=1)[0])


def test_its_way_is_the_arc(client: httpx.Client, generator: Generator) -> None:
    first, last = latents(5, 2, 1, generator.latent_dim)[0], latents(8, 1, 1, generator.latent_dim)[0]
    z = np.array([arc(first, last, step / 8) for step in range(9)], np.float32)
    difference = images(client, WALK).astype(int) - generator(z).astype(int)
    assert np.abs(difference).max() <= 1  # where a last bit decides how a pixel is rounded
    assert (difference == 0).mean() > 0.99


def test_one_step_is_the_same_alone(client: httpx.Client) -> None:
    walk = images(client, WALK)
    for step in (0, 4, 8):
        np.testing.assert_array_equal(images(client, f"{WALK}&step={step}"), walk[step : step + 1])


def test_a_walk_to_where_it_began_stays_there(client: httpx.Client, generator: Generator) -> None:
    walk = images(client, "/v1/walk?from=3&to=3&steps=4&format=npy")
    np.testing.assert_array_equal(walk, np.repeat(generator.sample(1, seed=3), 4, axis=0))


@pytest.mark.parametrize(
    ("query", "field"),
    [("steps=1", "steps"), ("steps=41", "steps"), ("steps=4&step=4", "step"), ("from=x", "from"), ("seed=1", "seed")],
)
def test_a_wrong_walk_is_refused_with_its_field(client: httpx.Client, query: str, field: str) -> None:
    answer = client.get(f"/v1/walk?{query}")
    assert (answer.status_code, answer.json()["field"]) == (400, field)


@given(st.integers(0, 2**32), st.integers(2, 40), st.floats(0, 1))
def test_between_directions_it_keeps_the_length(seed: int, dim: int, t: float) -> None:
    pair = np.random.default_rng(seed).standard_normal((2, dim))
    first, last = (pair / np.linalg.norm(pair, axis=1, keepdims=True)).astype(np.float32)
    if first @ last > -0.99:  # opposite ends have no one arc
        assert np.linalg.norm(slerp(first, last, np.array([t]))[0]) == pytest.approx(1, abs=1e-4)
