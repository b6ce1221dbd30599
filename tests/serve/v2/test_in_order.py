"""What a stream does with its requests when the server stops: all that were read are answered."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from ganport_serve.errors import NotReadyError
from ganport_serve.v2.grpc import in_order


def test_every_request_that_was_read_before_the_stop_is_answered() -> None:
    read: list[int] = []
    got: list[int] = []

    async def requests() -> AsyncIterator[int]:
        for index in range(5):
            read.append(index)
            yield index

    async def collect(answers: AsyncIterator[int]) -> None:
        async for one in answers:
            got.append(one)  # noqa: PERF401 (what came before the error counts)

    async def run() -> None:
        stop, is_full, go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def answer(request: int) -> int:
            if request == 1:
                is_full.set()
            await go_on.wait()
            return request

        async def stopped() -> None:
            await is_full.wait()
            stop.set()
            go_on.set()

        stopping = asyncio.ensure_future(stopped())
        with pytest.raises(NotReadyError, match="stopping"):
            await collect(in_order(requests(), answer, window=2, stop=stop))
        await stopping

    asyncio.run(run())
    assert got == read == [0, 1]
