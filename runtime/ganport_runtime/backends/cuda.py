"""CUDA as the GPU backends need it, through NVIDIA's own bindings: every status checked, everything given back."""

import ctypes
import sys
from collections.abc import Callable, Hashable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from math import prod
from threading import RLock
from types import ModuleType
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ganport_runtime.errors import ClosedError, PlanError

DRIVERS = {"linux": "libcuda.so.1", "win32": "nvcuda.dll"}
DEVICE = 0  # the first that CUDA_VISIBLE_DEVICES lets through

# Held by whoever uses the GPU. While one thread records a CUDA graph, no other of the process may allocate memory or
# synchronize, in whatever library it does so; and neither graphs nor TensorRT's contexts bear two threads at once.
LOCK = RLock()


def refusal() -> str | None:
    """Why no CUDA call can be made here, or None. It loads the driver's library and nothing else."""
    library = DRIVERS.get(sys.platform)
    if library is None:
        return f"there is no CUDA for {sys.platform}; ask for device cpu"
    if not _loads(library):
        return f"no NVIDIA driver ({library} cannot be loaded); install it, or ask for device cpu"
    if not _bindings_installed():
        return "cuda-bindings is not installed; pip install cuda-bindings"
    return None


def compute_capability() -> str:
    """The GPU's, such as `8.9`, where `refusal` is None; PlanError without a GPU or with a driver that is too old."""
    attribute = _runtime().cudaDeviceAttr
    major = call("cudaDeviceGetAttribute", attribute.cudaDevAttrComputeCapabilityMajor, DEVICE)
    minor = call("cudaDeviceGetAttribute", attribute.cudaDevAttrComputeCapabilityMinor, DEVICE)
    return f"{major}.{minor}"


def call(function: str, *arguments: Any) -> Any:
    """What a function of the CUDA runtime returns after its status; PlanError with CUDA's own words where it fails."""
    runtime = _runtime()
    status, *values = getattr(runtime, function)(*arguments)
    if int(status) != 0:
        name, text = (_words(describe(status)) for describe in (runtime.cudaGetErrorName, runtime.cudaGetErrorString))
        raise PlanError(f"{function} failed: {name}: {text}")
    return values[0] if values else None


class CudaStream:
    """A stream that does not wait for the default one; destroyed when `stack` is closed."""

    def __init__(self, stack: ExitStack) -> None:
        self.raw = call("cudaStreamCreateWithFlags", _runtime().cudaStreamNonBlocking)
        stack.callback(call, "cudaStreamDestroy", self.raw)

    @property
    def handle(self) -> int:
        """What TensorRT takes."""
        return int(self.raw)

    def synchronize(self) -> None:
        """Wait until everything in the stream is done; errors of it surface here."""
        call("cudaStreamSynchronize", self.raw)


class Buffer:
    """Memory of the device and page-locked memory of the host for one array, at addresses that never change.

    Closing the stack frees both; `host` must not be touched after that.
    """

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike, stack: ExitStack) -> None:
        self.size = prod(shape) * np.dtype(dtype).itemsize
        self.device = int(call("cudaMalloc", self.size))
        stack.callback(call, "cudaFree", self.device)
        address = int(call("cudaHostAlloc", self.size, 0))
        stack.callback(call, "cudaFreeHost", address)
        memory = memoryview((ctypes.c_ubyte * self.size).from_address(address))
        self.host: NDArray[Any] = np.ndarray(shape, dtype, memory)

    def upload(self, stream: CudaStream) -> None:
        """Copy host to device, in order with what else is in the stream."""
        self._copy(self.device, self.host.ctypes.data, "cudaMemcpyHostToDevice", stream)

    def download(self, stream: CudaStream) -> None:
        """Copy device to host, in order with what else is in the stream."""
        self._copy(self.host.ctypes.data, self.device, "cudaMemcpyDeviceToHost", stream)

    def _copy(self, to: int, origin: int, kind: str, stream: CudaStream) -> None:
        call("cudaMemcpyAsync", to, origin, self.size, getattr(_runtime().cudaMemcpyKind, kind), stream.raw)


def record(work: Callable[[], None], stream: CudaStream, stack: ExitStack) -> Callable[[], None]:
    """Record what `work` puts into the stream as a CUDA graph, and return what launches it.

    `work` has run once before, so that nothing in it allocates; its addresses and shapes stay fixed. Closing the stack
    destroys the graph. After a PlanError the stream is usable again.
    """
    runtime = _runtime()
    call("cudaStreamBeginCapture", stream.raw, runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal)
    try:
        work()
    except BaseException:
        with suppress(PlanError):  # a stream must be let out of its recording, and the first error is the one to tell
            call("cudaGraphDestroy", call("cudaStreamEndCapture", stream.raw))
        raise
    graph = call("cudaStreamEndCapture", stream.raw)
    try:
        executable = call("cudaGraphInstantiate", graph, 0)
    finally:
        call("cudaGraphDestroy", graph)
    stack.callback(call, "cudaGraphExecDestroy", executable)
    return lambda: call("cudaGraphLaunch", executable, stream.raw)


@cache
def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _bindings_installed() -> bool:
    try:
        return find_spec("cuda.bindings.runtime") is not None
    except ModuleNotFoundError:
        return False


def _runtime() -> ModuleType:
    return import_module("cuda.bindings.runtime")


def _words(described: tuple[Any, bytes]) -> str:
    return described[1].decode(errors="replace")


Context = TypeVar("Context")


class ExecutionContexts(Generic[Context]):
    """What a session holds on the GPU for each batch size: made when first needed, used by one thread at a time."""

    def __init__(self) -> None:
        self._stack: ExitStack | None = ExitStack()
        self._contexts: dict[Hashable, Context] = {}

    @contextmanager
    def using(self, key: Hashable, make: Callable[[ExitStack], Context]) -> Iterator[Context]:
        """The context of a key, while nobody else of this process uses the GPU.

        Where `make` fails, what it took from the stack that it is given is freed at once.
        """
        with LOCK:
            if self._stack is None:
                raise ClosedError("this session is closed; open the bundle again")
            if key not in self._contexts:
                with ExitStack() as own:
                    self._contexts[key] = make(own)
                    self._stack.push(own.pop_all())
            yield self._contexts[key]

    def close(self) -> None:
        """Free everything, once the run under way is done. Closing twice does no harm."""
        with LOCK:
            stack, self._stack = self._stack, None
            if stack is not None:
                stack.close()
                self._contexts.clear()
