"""A CUDA runtime for machines without a GPU: its device memory is the host's, its streams are lists of work to do.

It stands for `cuda.bindings.runtime` where a test is about the order of calls, about their failing, or about what is
given back. What it cannot show is that a GPU agrees.
"""

import ctypes
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ganport_runtime.backends import cuda
from numpy.typing import DTypeLike, NDArray

__all__ = ["HostCuda", "array_at"]

Work = Callable[[], None]


class HostStream:
    """Work that is put in is done at `synchronize`, or kept for a graph while one is recorded."""

    def __init__(self) -> None:
        self.waiting: list[Work] = []
        self.recording: list[Work] | None = None

    def put(self, work: Work) -> None:
        (self.waiting if self.recording is None else self.recording).append(work)

    def __int__(self) -> int:
        return id(self)


class HostCuda:
    """The functions that ganport calls, each noted in `calls`; `failing` names those that are to fail."""

    cudaStreamNonBlocking = 1  # noqa: N815  # CUDA's own names
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)  # noqa: N815
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)  # noqa: N815

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.failing: set[str] = set()
        self.alive: dict[int, object] = {}
        self.streams: dict[int, HostStream] = {}

    @classmethod
    def installed(cls, monkeypatch: pytest.MonkeyPatch) -> "HostCuda":
        """One that `ganport_runtime.backends.cuda` calls from now on."""
        runtime = cls()
        monkeypatch.setattr(cuda, "_runtime", lambda: runtime)
        return runtime

    def __getattr__(self, name: str) -> Callable[..., tuple[Any, ...]]:
        function = getattr(type(self), f"_{name}")

        def called(*arguments: Any) -> tuple[Any, ...]:
            self.calls.append(name)
            if name in self.failing:
                return (700, None)
            values = function(self, *arguments)
            return (0,) if values is None else (0, values)

        return called

    def cudaGetErrorName(self, status: int) -> tuple[int, bytes]:  # noqa: N802
        return 0, b"cudaErrorOfATest"

    def cudaGetErrorString(self, status: int) -> tuple[int, bytes]:  # noqa: N802
        return 0, b"the test wants it to fail"

    def _keep(self, thing: Any, address: int) -> int:
        self.alive[address] = thing
        return address

    def _drop(self, address: Any) -> None:
        del self.alive[int(address)]  # a KeyError is memory that was given back twice

    def _allocate(self, size: int) -> int:
        memory = (ctypes.c_ubyte * size)(*([255] * size))
        return self._keep(memory, ctypes.addressof(memory))

    def _cudaMalloc(self, size: int) -> int:  # noqa: N802
        return self._allocate(size)

    def _cudaHostAlloc(self, size: int, flags: int) -> int:  # noqa: N802
        return self._allocate(size)

    _cudaFree = _cudaFreeHost = _cudaStreamDestroy = _drop  # noqa: N815

    def _cudaStreamCreateWithFlags(self, flags: int) -> HostStream:  # noqa: N802
        assert flags == self.cudaStreamNonBlocking
        stream = HostStream()
        self.streams[int(stream)] = stream
        self._keep(stream, int(stream))
        return stream

    def _cudaStreamSynchronize(self, stream: HostStream) -> None:  # noqa: N802
        assert stream.recording is None, "a stream that records must not be waited for"
        while stream.waiting:
            stream.waiting.pop(0)()

    def _cudaMemcpyAsync(self, to: int, origin: int, size: int, kind: int, stream: HostStream) -> None:  # noqa: N802
        def copy() -> None:
            ctypes.memmove(to, origin, size)

        stream.put(copy)

    def _cudaStreamBeginCapture(self, stream: HostStream, mode: int) -> None:  # noqa: N802
        assert not stream.waiting
        stream.recording = []

    def _cudaStreamEndCapture(self, stream: HostStream) -> "HostGraph":  # noqa: N802
        recorded, stream.recording = stream.recording, None
        assert recorded is not None
        return self._new_graph(recorded)

    def _new_graph(self, works: list[Work]) -> "HostGraph":
        graph = HostGraph(works)
        self._keep(graph, int(graph))
        return graph

    def _cudaGraphInstantiate(self, graph: "HostGraph", flags: int) -> "HostGraph":  # noqa: N802
        return self._new_graph(graph.works)

    _cudaGraphDestroy = _cudaGraphExecDestroy = _drop  # noqa: N815

    def _cudaGraphLaunch(self, graph: "HostGraph", stream: HostStream) -> None:  # noqa: N802
        for work in graph.works:
            stream.put(work)


class HostGraph:
    """What was recorded."""

    def __init__(self, works: list[Work]) -> None:
        self.works = works

    def __int__(self) -> int:
        return id(self)


def array_at(address: int, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """The array in "device" memory."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.ndarray(shape, dtype, memoryview((ctypes.c_ubyte * size).from_address(address)))
