"""tritonclient's asyncio clients, unchanged, over HTTP and gRPC."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc  # type: ignore[import-untyped]
import tritonclient.grpc.aio as triton_grpc_aio  # type: ignore[import-untyped]
import tritonclient.http as triton_http  # type: ignore[import-untyped]
import tritonclient.http.aio as triton_http_aio  # type: ignore[import-untyped]
from ganport_runtime import Generator
from tritonclient.utils import InferenceServerException  # type: ignore[import-untyped]

from tests.serve.v2.conftest import Place
from tests.serve.v2.tensors import Array, latents, seeded, tensors

Ask = Callable[[Any, Any], Awaitable[None]]
Run = Callable[[Ask], None]


@pytest.fixture(params=["http", "grpc"])
def run(request: pytest.FixtureRequest, place: Place) -> Run:
    """Runs a coroutine that is given a client and the module of its protocol."""
    modules = {"http": (triton_http_aio, triton_http, place.http), "grpc": (triton_grpc_aio, triton_grpc, place.grpc)}
    aio, protocol, address = modules[request.param]

    async def whole(ask: Ask) -> None:
        async with opened(aio, address) as client:
            await ask(client, protocol)

    return lambda ask: asyncio.run(whole(ask))


@asynccontextmanager
async def opened(aio: Any, address: str) -> AsyncIterator[Any]:
    client = aio.InferenceServerClient(address)
    try:
        yield client
    finally:
        await client.close()


async def images_of(client: Any, protocol: Any, arrays: dict[str, Array], **options: Any) -> Array:
    result = await client.infer("generator", tensors(protocol, arrays), **options)
    images: Array = result.as_numpy("image")
    return images


def test_health_and_what_is_served(run: Run) -> None:
    async def ask(client: Any, _: Any) -> None:
        assert await client.is_server_live()
        assert await client.is_server_ready()
        assert await client.is_model_ready("generator")
        assert not await client.is_model_ready("painter")
        metadata = await client.get_model_metadata("discriminator")
        name = metadata["name"] if isinstance(metadata, dict) else metadata.name
        assert name == "discriminator"
        assert "generator" in str(await client.get_model_config("generator"))
        assert "READY" in str(await client.get_model_repository_index())
        assert "ganport" in str(await client.get_server_metadata())
        assert "compute_infer" in str(await client.get_inference_statistics("generator"))

    run(ask)


def test_latents_and_seeds_become_the_images_of_the_generator(run: Run, generator: Generator) -> None:
    async def ask(client: Any, protocol: Any) -> None:
        assert np.array_equal(await images_of(client, protocol, {"z": latents(3)}), generator(latents(3)))
        images = await images_of(client, protocol, seeded(4, 70, 5), request_id="a")
        assert np.array_equal(images, generator.sample(70, seed=4, start=5))

    run(ask)


def test_a_refused_request_leaves_the_client_usable(run: Run, generator: Generator) -> None:
    async def ask(client: Any, protocol: Any) -> None:
        with pytest.raises(InferenceServerException, match=r"count is 0, wanted 1 to 200"):
            await images_of(client, protocol, seeded(1, 0))
        assert np.array_equal(await images_of(client, protocol, seeded(1)), generator.sample(1, seed=1))

    run(ask)
