"""A process of its own for work that is timed or whose CPU seconds are counted: one call at a time, then idle."""

from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

from ganport_bench.errors import BenchError

__all__ = ["Worker"]

P = ParamSpec("P")
T = TypeVar("T")


class Worker:
    """A fresh interpreter that sleeps between calls; to be used as a context manager.

    Args:
        name: for messages.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._pool = ProcessPoolExecutor(1, get_context("spawn"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def __call__(self, work: Callable[P, T], /, *arguments: P.args, **keywords: P.kwargs) -> T:
        """Do `work`, a module's function, there, and wait; raises what it raises.

        Raises:
            BenchError: the process ended.
        """
        return self.result(self.begin(work, *arguments, **keywords))

    def begin(self, work: Callable[P, T], /, *arguments: P.args, **keywords: P.kwargs) -> Future[T]:
        """Do `work` there without waiting for it."""
        return self._pool.submit(work, *arguments, **keywords)

    def result(self, future: Future[T]) -> T:
        """Wait for what was begun; raises what it raises.

        Raises:
            BenchError: the process ended.
        """
        try:
            return future.result()
        except BrokenProcessPool as error:
            raise BenchError(f"the process of {self._name} ended: {error}") from None
