"""What LoadGen calls: no error leaves it, and every query is answered exactly once, whatever happens."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganport_bench.scenarios.systems import System

__all__ = ["Callbacks"]


class Callbacks:
    """Between LoadGen and a system. An exception in C++ frames would end the process, a missing answer would hang it.

    After the first failure all that is open and all that comes is answered with nothing, so that the run ends soon.

    Args:
        system: what is measured.
        loadgen: LoadGen's module.

    Attributes:
        failure: the first error, or None.
    """

    def __init__(self, system: System, loadgen: Any) -> None:
        self._system, self._loadgen = system, loadgen
        self._open: dict[int, bool] = {}  # ids of queries without an answer; whoever takes one out answers it
        self.failure: BaseException | None = None

    def issue(self, ids: list[int], seeds: list[int]) -> None:
        """A query, from LoadGen's thread."""
        self._open.update(dict.fromkeys(ids, True))
        if self.failure is None:
            try:
                self._system.issue(ids, seeds, self.complete)
            except BaseException as error:
                self.fail(error)
        if self.failure is not None:  # or another thread failed after it had looked for what is open
            self._answer_with_nothing()

    def complete(self, ids: Sequence[int], outcome: NDArray[np.uint8] | BaseException) -> None:
        """Images for these, or the error that came instead; from any thread."""
        if isinstance(outcome, BaseException):
            self.fail(outcome)
            return
        try:
            pixels = np.ascontiguousarray(outcome)
            first, size = pixels.ctypes.data, pixels.nbytes // len(pixels)
            self._answer((one, first + index * size, size) for index, one in enumerate(ids))
        except BaseException as error:
            self.fail(error)

    def interrupt(self) -> None:
        """Ctrl-C, between any two steps of what happens here: the next query ends it."""
        if self.failure is None:
            self.failure = KeyboardInterrupt()

    def fail(self, error: BaseException) -> None:
        """Remember the first error and be done; from any thread."""
        if self.failure is None:
            self.failure = error
        self._answer_with_nothing()

    def _answer_with_nothing(self) -> None:
        self._answer((one, 0, 0) for one in list(self._open))

    def _answer(self, responses: Iterable[tuple[int, int, int]]) -> None:
        """Tell LoadGen the id, the address and the bytes of each that is still open."""
        response = self._loadgen.QuerySampleResponse
        self._loadgen.QuerySamplesComplete([response(*one) for one in responses if self._open.pop(one[0], False)])
