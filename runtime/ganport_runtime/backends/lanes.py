"""What a session holds on the GPU for each batch size: made when first asked for, used by one thread at a time."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Generic, TypeVar

from ganport_runtime.backends.cuda import LOCK
from ganport_runtime.errors import ClosedError

__all__ = ["Lanes"]

Lane = TypeVar("Lane")


class Lanes(Generic[Lane]):
    """Lanes by key, and everything that must be freed for them."""

    def __init__(self) -> None:
        self._stack: ExitStack | None = ExitStack()
        self._lanes: dict[Hashable, Lane] = {}

    @contextmanager
    def using(self, key: Hashable, make: Callable[[ExitStack], Lane]) -> Iterator[Lane]:
        """The lane of a key, while nobody else of this process uses the GPU.

        Args:
            key: which lane.
            make: makes it where it is not there yet; closing the stack that it is given must free what it took, which
                happens at once where it fails.

        Raises:
            ClosedError: `close` was called.
        """
        with LOCK:
            if self._stack is None:
                raise ClosedError("this session is closed; open the bundle again")
            if key not in self._lanes:
                with ExitStack() as own:
                    self._lanes[key] = make(own)
                    self._stack.push(own.pop_all())
            yield self._lanes[key]

    def close(self) -> None:
        """Free everything, once the run under way is done. Closing twice does no harm."""
        with LOCK:
            stack, self._stack = self._stack, None
            if stack is not None:
                stack.close()
                self._lanes.clear()
