"""ONNX Runtime on a GPU: data goes through buffers that stay where they are, and CUDA graphs where asked for."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from numpy.typing import NDArray

from ganport_runtime.backends import cuda
from ganport_runtime.backends.lanes import Lanes
from ganport_runtime.backends.onnxruntime import tensors
from ganport_runtime.backends.protocol import Tensor
from ganport_runtime.errors import PlanError
from ganport_runtime.text import one_line

__all__ = ["CudaSession"]

DEVICE_TYPE = "cuda"
GRAPH_ID = "gpu_graph_id"  # ONNX Runtime records one CUDA graph for each value of this


class CudaSession:
    """An `InferenceSession` on the CUDA provider, behind the protocol; batches wait for each other.

    ONNX Runtime's own runs may overlap, but not where they replay CUDA graphs, nor while one is recorded.

    Args:
        library: the module `onnxruntime`.
        session: its `InferenceSession`.
        provider: as the session reports it.
        precision: the graph's.
        options: what the provider was told, and `cuda_graph`, on or off.
    """

    is_sized = True  # a graph for each, or an algorithm
    pads_to_bucket = True  # cuDNN searches anew for every batch size it has not seen

    def __init__(
        self, library: Any, session: Any, provider: str, *, precision: str, options: Mapping[str, str]
    ) -> None:
        self.provider, self.precision = provider, precision
        self.options = options
        self.inputs, self.outputs = tensors(session.get_inputs()), tensors(session.get_outputs())
        self._library, self._session = library, session
        self._lanes: Lanes[Lane] = Lanes()
        self._graph_ids = 0

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Compute the named outputs alone, of a batch that fills a bucket."""
        batch = len(next(iter(inputs.values())))
        names = tuple(outputs)
        with self._lanes.using((batch, names), lambda stack: self._new_lane(batch, names, stack)) as lane:
            try:
                return lane.run(inputs)
            except PlanError:
                raise
            except Exception as error:  # its exceptions share no base class but this one
                raise PlanError(f"onnxruntime failed on {self.provider}: {one_line(str(error))}") from error

    def close(self) -> None:
        """Give back the buffers, then the session."""
        self._lanes.close()
        self._session = None

    def _new_lane(self, batch: int, names: tuple[str, ...], stack: ExitStack) -> "Lane":
        how = self._library.RunOptions()
        if self.options["cuda_graph"] == "on":
            self._graph_ids += 1  # shapes and addresses of a graph are a lane's own
            how.add_run_config_entry(GRAPH_ID, str(self._graph_ids))
        wanted = [tensor for name in names for tensor in self.outputs if tensor.name == name]
        return Lane(self._session, how, batch, self.inputs, wanted, stack)


class Lane:
    """The buffers of one batch size and one choice of outputs, bound to the session once."""

    def __init__(
        self,
        session: Any,
        how: Any,
        batch: int,
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
        stack: ExitStack,
    ) -> None:
        self._run, self._how = session.run_with_iobinding, how
        self._stream = cuda.Stream(stack)
        self._inputs = {tensor.name: _buffer(tensor, batch, stack) for tensor in inputs}
        self._outputs = {tensor.name: _buffer(tensor, batch, stack) for tensor in outputs}
        self._binding = session.io_binding()
        for bind, buffers in ((self._binding.bind_input, self._inputs), (self._binding.bind_output, self._outputs)):
            for name, buffer in buffers.items():
                bind(name, DEVICE_TYPE, cuda.DEVICE, buffer.host.dtype.type, buffer.host.shape, buffer.device)

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Run one batch. The provider has streams of its own, so each step is waited for before the next."""
        for name, array in inputs.items():
            self._inputs[name].host[:] = array
            self._inputs[name].upload(self._stream)
        self._stream.synchronize()
        self._run(self._binding, self._how)
        self._binding.synchronize_outputs()
        for buffer in self._outputs.values():
            buffer.download(self._stream)
        self._stream.synchronize()
        return [buffer.host.copy() for buffer in self._outputs.values()]


def _buffer(tensor: Tensor, batch: int, stack: ExitStack) -> cuda.Buffer:
    return cuda.Buffer(tuple(batch if size is None else size for size in tensor.shape), tensor.dtype, stack)
