"""Answers a stream of requests side by side, and in their order."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TypeVar

from ganport_serve.errors import NotReadyError
from ganport_serve.lifecycle import DRAINING

__all__ = ["in_order"]

Request = TypeVar("Request")
Answer = TypeVar("Answer")


async def in_order(
    requests: AsyncIterator[Request],
    answer: Callable[[Request], Awaitable[Answer]],
    *,
    window: int,
    stop: asyncio.Event,
) -> AsyncGenerator[Answer, None]:
    """The answer of each request, in the order of the requests.

    Args:
        requests: read no further than `window` ahead of what was answered.
        answer: called for each at once, so that requests of one stream may share a batch.
        window: how many may be under way.
        stop: once it is set, nothing more is read.

    Raises:
        NotReadyError: `stop` was set before the requests came to their end; those that were read are answered.
    """
    source, room = aiter(requests), asyncio.Semaphore(window)
    begun: asyncio.Queue[asyncio.Future[Answer] | None] = asyncio.Queue()

    async def begin() -> None:
        try:
            while True:
                await room.acquire()  # before reading: what was read and waited for room here would be lost by a stop
                try:
                    request = await anext(source)
                except StopAsyncIteration:
                    return
                begun.put_nowait(asyncio.ensure_future(answer(request)))
        finally:
            begun.put_nowait(None)

    reader, stopping = asyncio.ensure_future(begin()), asyncio.ensure_future(stop.wait())
    stopping.add_done_callback(lambda _: reader.cancel())
    under_way: asyncio.Future[Answer] | None = None
    try:
        while (under_way := await begun.get()) is not None:
            yield await under_way
            room.release()
        await asyncio.wait((reader,))
        if reader.cancelled():
            raise NotReadyError(DRAINING)
        reader.result()
    finally:
        stopping.cancel()
        await _give_up(reader, under_way, begun)


async def _give_up(
    reader: asyncio.Future[None],
    under_way: asyncio.Future[Answer] | None,
    begun: asyncio.Queue[asyncio.Future[Answer] | None],
) -> None:
    reader.cancel()
    rest = [] if under_way is None else [under_way]
    while not begun.empty():
        rest += [item] if (item := begun.get_nowait()) is not None else []
    for item in rest:
        item.cancel()
    await asyncio.gather(reader, *rest, return_exceptions=True)
