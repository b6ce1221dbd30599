"""A TensorRT engine that runs: one execution context, one set of buffers and one CUDA graph for every bucket."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from importlib import import_module
from typing import Any

from numpy.typing import NDArray

from ganport_runtime.backends import cuda
from ganport_runtime.backends.cuda import ExecutionContexts
from ganport_runtime.backends.protocol import Tensor
from ganport_runtime.backends.tensorrt import bucket_profiles
from ganport_runtime.errors import BundleError, PlanError, one_line
from ganport_runtime.manifest import CompiledEngine

KEPT = 100  # lines; a session that runs for months must not grow by them
DTYPES = {"FLOAT": "float32", "UINT8": "uint8"}


@cache
def log_of(library: Any) -> Any:
    """The `ILogger` of `library` with what it was told: `errors`, `warnings`, and `said` for a line about a failure.

    There is one for the whole process: TensorRT goes on with the first that it was given and ignores every later one.
    """

    class TensorRTLog(library.ILogger):  # type: ignore[misc]  # the library is known when it is loaded, not before
        def __init__(self) -> None:
            library.ILogger.__init__(self)
            self.errors: deque[str] = deque(maxlen=KEPT)
            self.warnings: deque[str] = deque(maxlen=KEPT)

        def log(self, severity: Any, message: str) -> None:
            if severity in (library.ILogger.ERROR, library.ILogger.INTERNAL_ERROR):
                self.errors.append(message)
            elif severity == library.ILogger.WARNING:
                self.warnings.append(message)

        def clear(self) -> None:
            """Forget what was said, before something begins that may fail."""
            self.errors.clear()
            self.warnings.clear()

        def said(self, otherwise: str) -> str:
            """The first error, which the later ones follow from."""
            return one_line(self.errors[0]) if self.errors else otherwise

    return TensorRTLog()


class TensorRTSession:
    """An engine behind the protocol, with the `Runtime` that must outlive it. The GPU does one batch at a time."""

    pads_to_bucket = True
    is_sized = True

    def __init__(
        self,
        library: Any,
        engine: Any,
        runtime: Any,
        *,
        profiles: Mapping[int, int],
        precision: str,
        options: Mapping[str, str],
        provider: str,
    ) -> None:
        self.provider = provider
        self.options = options
        self.precision = precision
        self.inputs = tensors(library, engine, "INPUT")
        self.outputs = tensors(library, engine, "OUTPUT")
        self._library, self._engine, self._runtime = library, engine, runtime
        self._profiles = profiles
        self._contexts: ExecutionContexts[EngineContext] = ExecutionContexts()

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Compute the named outputs of a batch that fills a bucket."""
        batch = len(next(iter(inputs.values())))
        with self._contexts.using(batch, lambda stack: self._new_context(batch, stack)) as context:
            return context.run(outputs, inputs)

    def close(self) -> None:
        """Give back graphs, memory and contexts, then the engine that made them."""
        self._contexts.close()
        self._engine = None
        self._runtime = None

    def _new_context(self, batch: int, stack: ExitStack) -> "EngineContext":
        if batch not in self._profiles:
            raise PlanError(
                f"the engine has no profile for batch {batch}, it has {', '.join(map(str, self._profiles))}"
            )
        per_profile = self._library.ExecutionContextAllocationStrategy.ON_PROFILE_CHANGE
        context = self._engine.create_execution_context(per_profile)
        if context is None:
            raise PlanError("TensorRT created no execution context: is the GPU's memory full?")
        made = EngineContext(context, stack)
        made.prepare(self._profiles[batch], [_sized(tensor, batch) for tensor in self.inputs], self.outputs)
        made.warm_up(as_graph=self.options["cuda_graph"] == "on")
        return made


class EngineContext:
    """What runs the batches of one size, at addresses that stay the same."""

    def __init__(self, context: Any, stack: ExitStack) -> None:
        self._context, self._stack = context, stack
        self._stream = cuda.CudaStream(stack)
        self._inputs: dict[str, cuda.Buffer] = {}
        self._outputs: dict[str, cuda.Buffer] = {}
        self._launch: Callable[[], None] = self._enqueue

    def prepare(self, profile: int, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        """Choose the profile, fix every shape and address; inputs first, as the outputs' shapes follow from them."""
        context = self._context
        _need(context.set_optimization_profile_async(profile, self._stream.handle), f"choose profile {profile}")
        self._stream.synchronize()
        for tensor in inputs:
            _need(context.set_input_shape(tensor.name, tensor.shape), f"take {tensor.name} of shape {tensor.shape}")
            self._inputs[tensor.name] = self._bind(tensor)
        for tensor in outputs:
            self._outputs[tensor.name] = self._bind(tensor)

    def warm_up(self, *, as_graph: bool) -> None:
        """Run once on zeros, which loads and compiles what the engine left until now; then record the CUDA graph."""
        for buffer in self._inputs.values():
            buffer.host.fill(0)
        self._enqueue()
        self._stream.synchronize()
        if as_graph:
            self._check_capturable()
            self._launch = cuda.record(self._enqueue, self._stream, self._stack)

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Run one batch and return copies, as the next batch overwrites the page-locked memory."""
        for name, array in inputs.items():
            self._inputs[name].host[:] = array
        self._launch()
        self._stream.synchronize()
        return [self._outputs[name].host.copy() for name in outputs]

    def _bind(self, tensor: Tensor) -> cuda.Buffer:
        shape = tuple(self._context.get_tensor_shape(tensor.name))
        if any(size < 0 for size in shape):
            raise PlanError(f"TensorRT does not know the shape of {tensor.name}: {shape}")
        buffer = cuda.Buffer(shape, tensor.dtype, self._stack)
        _need(self._context.set_tensor_address(tensor.name, buffer.device), f"take the address of {tensor.name}")
        return buffer

    def _enqueue(self) -> None:
        for buffer in self._inputs.values():
            buffer.upload(self._stream)
        _need(self._context.execute_async_v3(self._stream.handle), "run the engine")
        for buffer in self._outputs.values():
            buffer.download(self._stream)

    def _check_capturable(self) -> None:
        """TensorRT-RTX can be asked; `tensorrt` fails while the graph is recorded, where it cannot."""
        ask = getattr(self._context, "is_stream_capturable", None)
        if ask is not None and not ask(self._stream.handle):
            raise PlanError("this engine cannot be recorded as a CUDA graph; open it with cuda_graph off")


def tensors(library: Any, engine: Any, mode: str) -> tuple[Tensor, ...]:
    """An engine's tensors of a `TensorIOMode`: INPUT or OUTPUT."""
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    wanted = getattr(library.TensorIOMode, mode)
    return tuple(_tensor(engine, name) for name in names if engine.get_tensor_mode(name) == wanted)


def _tensor(engine: Any, name: str) -> Tensor:
    kind = engine.get_tensor_dtype(name).name
    shape = tuple(size if size >= 0 else None for size in engine.get_tensor_shape(name))
    return Tensor(name, DTYPES.get(kind, kind), shape)


def _sized(tensor: Tensor, batch: int) -> Tensor:
    return Tensor(tensor.name, tensor.dtype, tuple(batch if size is None else size for size in tensor.shape))


def _need(done: bool, what: str) -> None:
    """TensorRT returns False instead of raising; where nobody looked, the results were zeros."""
    if not done:
        raise PlanError(f"TensorRT did not {what}")


def load_engine(model: bytes, entry: CompiledEngine, options: Mapping[str, str]) -> TensorRTSession:
    """Deserialize an engine; PlanError where it is refused here, BundleError for other profiles than the manifest's."""
    library = import_module(entry.library)
    log = log_of(library)
    with cuda.LOCK:
        log.clear()
        runtime = library.Runtime(log)
        note = _validity(library, runtime, model, log)
        # Such an engine holds code for the processor too. It may run like all of the file: its digest was right.
        runtime.engine_host_code_allowed = entry.details.get("version_compatible") is True
        engine = runtime.deserialize_cuda_engine(model)
    if engine is None:
        raise PlanError(f"{library.__name__} cannot load the engine: {log.said('it gives no reason')}")
    _check_profiles(library, engine, entry)
    return TensorRTSession(
        library,
        engine,
        runtime,
        profiles=bucket_profiles(entry),
        precision=entry.precision,
        options=options,
        provider=f"{library.__name__} {library.__version__}{note}",
    )


def _validity(library: Any, runtime: Any, data: bytes, log: Any) -> str:
    """What TensorRT-RTX itself says of an engine here: nothing where it is valid; `tensorrt` cannot be asked."""
    if not hasattr(runtime, "get_engine_validity"):
        return ""
    validity, reasons = runtime.get_engine_validity(data)
    if validity == library.EngineValidity.INVALID:
        kinds = library.EngineInvalidityDiagnostics.__members__
        said = [name.lower().replace("_", " ") for name, kind in kinds.items() if int(reasons) & int(kind)]
        raise PlanError(f"{library.__name__} refuses the engine: {', '.join(said) or log.said('it gives no reason')}")
    return ", slower than it could be here" if validity == library.EngineValidity.SUBOPTIMAL else ""


def _check_profiles(library: Any, engine: Any, entry: CompiledEngine) -> None:
    """See that every bucket's profile of the record is one of the engine's and takes that batch."""
    for bucket, profile in bucket_profiles(entry).items():
        if profile >= engine.num_optimization_profiles:
            raise BundleError(f"tensorrt: the engine has no profile {profile}, which its record names")
        for tensor in tensors(library, engine, "INPUT"):
            low, _, high = engine.get_tensor_profile_shape(tensor.name, profile)
            if not low[0] <= bucket <= high[0]:
                raise BundleError(f"tensorrt: profile {profile} takes batch {low[0]} to {high[0]}, not {bucket}")
