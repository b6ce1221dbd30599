"""The machine's memory bandwidth: streams through large arrays on all cores, the fastest counts; and its last cache's.

A stream's bytes are those that it asks for: what it reads and what it writes. That a processor may read what it is
about to overwrite is not counted.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from ganport_runtime.host import memory_bytes

from ganport_bench.ceilings.caches import last_cache_bytes
from ganport_bench.ceilings.fastest import fastest
from ganport_bench.peers.threads import thread_choices
from ganport_bench.timing import Estimate, System, turns_of

__all__ = ["Bandwidth", "Stream", "faster", "measure_bandwidth", "stream"]

ALL_ARRAYS = 3  # what a stream uses at most
BEYOND = 4  # times the last cache, each array, as STREAM wants it
UNKNOWN_CACHE_ARRAY = 256 * 2**20  # bytes of an array where the last cache is not known
OF_CACHE = 0.25  # of the last cache, what all arrays take that are to lie in it: others use it too
OF_COMPUTER = 1 / 8  # of the computer's memory, what all arrays take at most
CALL_BYTES = 256 * 2**20  # moved by one call at least, or starting threads would be measured

Arrays = Sequence[npt.NDArray[np.float64]]
KERNELS: Mapping[str, tuple[int, Callable[[Arrays], object]]] = {  # how many arrays it streams through, once each
    "NumPy's maximum": (1, lambda arrays: np.maximum.reduce(arrays[0])),
    "NumPy's copyto": (2, lambda arrays: np.copyto(arrays[0], arrays[1])),
    "NumPy's add": (3, lambda arrays: np.add(arrays[1], arrays[2], out=arrays[0])),
}


@dataclass(frozen=True)
class Stream:
    """The most bytes a second that were measured in one place.

    Attributes:
        bytes_per_second: read and written together, the median over rounds of the fastest.
        how: by what, and how large the arrays were.
        others: the same figure of everything else that was tried.
    """

    bytes_per_second: Estimate
    how: str
    others: Mapping[str, float]


@dataclass(frozen=True)
class Bandwidth:
    """Of a device's memory, and of its last cache where that is known.

    Attributes:
        memory: far beyond the last cache.
        cache: within it.
        cache_bytes: how much it holds; 0 where that is not known.
    """

    memory: Stream
    cache: Stream | None = None
    cache_bytes: int = 0

    def seconds(self, count: int) -> float:
        """The least that moving so many bytes takes: what the last cache holds may lie there from the call before."""
        slow, held = self.memory.bytes_per_second.value, 0
        if self.cache is not None:
            held = min(count, self.cache_bytes)
        fast = slow if self.cache is None else max(slow, self.cache.bytes_per_second.value)
        return held / fast + (count - held) / slow

    def to_json(self) -> dict[str, Any]:
        """The memory's part of the document, with the cache's beside it."""
        cache = None if self.cache is None else {"bytes": self.cache_bytes, **asdict(self.cache)}
        return {**asdict(self.memory), "cache": cache}


def faster(first: Bandwidth, second: Bandwidth) -> Bandwidth:
    """The higher of two measurements of one device: other load can only have lowered them."""
    caches = [one.cache for one in (first, second) if one.cache is not None]
    return Bandwidth(_higher([first.memory, second.memory]), _higher(caches) if caches else None, first.cache_bytes)


def _higher(streams: Sequence[Stream]) -> Stream:
    return max(streams, key=lambda stream: stream.bytes_per_second.value)


def measure_bandwidth(*, rounds: int, turn_seconds: float, cache_bytes: int | None = None) -> Bandwidth:
    """The bandwidth of this computer's memory and of its last cache.

    Args:
        rounds: turns of every stream.
        turn_seconds: of one turn, about.
        cache_bytes: of the last cache; None: as Linux tells.
    """
    known = last_cache_bytes() if cache_bytes is None else cache_bytes
    threads = thread_choices()[0]
    with ThreadPoolExecutor(threads, "bandwidth") as pool:
        memory = _measure(pool, threads, _beyond(known), rounds, turn_seconds)
        if not known:
            return Bandwidth(memory)
        within = _measure(pool, threads, int(OF_CACHE * known / ALL_ARRAYS), rounds, turn_seconds)
    return Bandwidth(memory, within, known)


def _beyond(cache_bytes: int | None) -> int:
    """The bytes of an array that no cache holds, or as many as the computer can spare."""
    wanted = BEYOND * cache_bytes if cache_bytes else UNKNOWN_CACHE_ARRAY
    memory = memory_bytes()
    if memory is None:
        return wanted
    return min(wanted, int(OF_COMPUTER * memory / ALL_ARRAYS))


def _measure(pool: ThreadPoolExecutor, threads: int, array_bytes: int, rounds: int, turn_seconds: float) -> Stream:
    length = max(1, array_bytes // threads // np.dtype(np.float64).itemsize)
    parts = list(pool.map(lambda _: [np.full(length, 1.0) for _ in range(ALL_ARRAYS)], range(threads)))
    size = sum(part[0].nbytes for part in parts)
    moved = {name: count * size * max(1, CALL_BYTES // (count * size)) for name, (count, _) in KERNELS.items()}

    def call(name: str) -> Callable[[], object]:
        count, kernel = KERNELS[name]
        passes = range(moved[name] // (count * size))
        return lambda: list(pool.map(lambda part: [kernel(part) for _ in passes], parts))

    turns = {name: turns_of(call(name), turn_seconds) for name in KERNELS}
    where = f"{threads} threads, arrays of {size / 2**20:.3g} MiB"
    return stream(turns, moved, rounds=rounds, where=where)


def stream(turns: Mapping[str, System], moved: Mapping[str, int], *, rounds: int, where: str) -> Stream:
    """The fastest of several streams.

    Args:
        turns: by name, what returns the seconds of a call.
        moved: by name, the bytes of a call.
        rounds: turns of each.
        where: what is said of them all.
    """
    named = {name: f"{name}, {where}" for name in turns}
    systems = {named[name]: turn for name, turn in turns.items()}
    return Stream(*fastest(systems, {named[name]: count for name, count in moved.items()}, rounds=rounds))
