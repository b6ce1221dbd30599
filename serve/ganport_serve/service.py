"""What every route has at hand: the engine, the settings, the metrics."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ganport_serve.engine import Engine
from ganport_serve.metrics import Metrics
from ganport_serve.settings import Settings

__all__ = ["Service"]

T = TypeVar("T")


@dataclass(frozen=True)
class Service:
    """One running server's parts.

    Attributes:
        engine: answers.
        settings: how it serves.
        metrics: what it counts.
        tasks: work of the server itself that goes on whether or not anybody waits for it, until the server ends.
    """

    engine: Engine
    settings: Settings
    metrics: Metrics
    tasks: set[asyncio.Task[Any]] = field(default_factory=set, init=False, repr=False, compare=False)

    def keep(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin such work; it says itself what came of it."""

        def end(task: asyncio.Task[T]) -> None:
            self.tasks.discard(task)
            if not task.cancelled():
                task.exception()  # so that asyncio does not complain of one that nobody has asked for

        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(end)
        return task
