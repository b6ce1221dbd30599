"""Runs anyone's ONNX graph, from its bytes, on ONNX Runtime's CPU provider."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy.typing as npt
from ganport_runtime.text import one_line

from ganport_export.errors import ExportError

__all__ = ["Feed", "OnnxSession"]

Feed = Mapping[str, npt.NDArray[Any]]

SILENT = 4  # of its log levels: what it logs as an error it raises too, and one line is wanted


class OnnxSession:
    """A graph, ready to run: whatever its inputs and outputs are called.

    Args:
        graph: an ONNX file's bytes, weights inside.
        threads: CPU threads for one run, or None for the library's own default.

    Raises:
        ExportError: ONNX Runtime is not installed, or cannot run the graph: an unknown operator, mostly.
    """

    def __init__(self, graph: bytes, threads: int | None = None) -> None:
        library = _library()
        options = library.SessionOptions()
        options.log_severity_level = SILENT
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            # With its fallback on, it tries again where it fails, and says so on stdout.
            self._session = library.InferenceSession(
                graph, options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
        except Exception as error:  # its exceptions share no base class but this one
            raise ExportError(f"onnxruntime {library.__version__} cannot run it: {one_line(str(error))}") from error

    @property
    def output_types(self) -> dict[str, str]:
        """The type of every output as ONNX Runtime writes it, such as `tensor(float)`."""
        return {output.name: output.type for output in self._session.get_outputs()}

    def __call__(self, feed: Feed, outputs: Sequence[str] | None = None) -> dict[str, npt.NDArray[Any]]:
        """The named outputs, or all of them, for one batch of inputs.

        Raises:
            ExportError: the graph fails on these inputs.
        """
        names = [output.name for output in self._session.get_outputs()] if outputs is None else list(outputs)
        if not names:  # which it would take for all of them
            return {}
        try:
            values = self._session.run(names, dict(feed))
        except Exception as error:
            shapes = ", ".join(f"{name} {array.dtype} {list(array.shape)}" for name, array in feed.items())
            raise ExportError(f"onnxruntime fails on {shapes}: {one_line(str(error))}") from error
        return dict(zip(names, values, strict=True))


def _library() -> Any:
    try:
        return import_module("onnxruntime")
    except ModuleNotFoundError as error:
        if error.name != "onnxruntime":
            raise
        raise ExportError("graphs are run by onnxruntime, which is missing: pip install 'ganport[optimize]'") from error
