"""From a PyTorch module to the ONNX graph of one call of it, for any batch size."""

import contextlib
import logging
import re
import warnings
from collections.abc import Iterator

import onnx_ir
import torch
from torch import Tensor, nn

from ganport_export.errors import TraceError
from ganport_export.signature import BATCH, Signature

__all__ = ["OPSET", "first_sentence", "quiet_exporter", "trace"]

OPSET = 18


def trace(module: nn.Module, example: Tensor, signature: Signature) -> onnx_ir.Model:
    """The module's graph as the exporter makes it, nothing folded yet.

    Args:
        module: takes one tensor and returns a tensor or a tuple of them; in eval mode.
        example: its input for a batch of two or more: with one, the exporter takes the batch for a constant.
        signature: the names of its input and outputs.

    Raises:
        TraceError: the module fixes its batch size, decides by the values of tensors, or uses an operator that ONNX
            has no translation for.
    """
    with quiet_exporter(), torch.no_grad():
        program = _capture(module, example)
        try:
            exported = torch.onnx.export(
                program,
                input_names=[signature.input.name],
                output_names=[spec.name for spec in signature.outputs],
                opset_version=OPSET,
                optimize=False,  # its batch-norm fusion rounds to float32 at every step
                external_data=False,
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            raise TraceError(f"the network cannot be written as ONNX: {_explain(error)}") from error
    assert exported is not None  # None comes from the older exporter alone
    return exported.model


def _capture(module: nn.Module, example: Tensor) -> torch.export.ExportedProgram:
    shapes = ({0: torch.export.Dim(BATCH)},)
    try:
        return torch.export.export(module, (example,), dynamic_shapes=shapes, strict=False)
    except Exception as error:  # whatever the module's own code raises while it is traced
        if "Constraints violated" in str(error):  # the only constraint that was set is the free batch
            raise TraceError(
                f"the network fixes its batch size (traced with {len(example)} images): "
                "take it from the input, as in z.shape[0] or view(-1, ...)"
            ) from error
        raise TraceError(f"the network cannot be traced: {first_sentence(error)}") from error
    except SystemExit as error:
        raise TraceError(f"the network cannot be traced: it ends the program by sys.exit({error.code!r})") from error


def _explain(error: BaseException) -> str:
    cause = first_sentence(error)
    if "SymbolicTensor" in cause or "SymInt" in cause:  # a size stands where ONNX wants a fixed number
        return (
            "an operator's setting depends on the batch, as groups=len(z) of a convolution does; "
            f"scale activations instead of weights ({cause})"
        )
    return cause


def first_sentence(error: BaseException) -> str:
    """The first sentence of what an error was caused by, without terminal colors."""
    while error.__cause__ is not None:
        error = error.__cause__
    plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip()
    line = plain.splitlines()[0] if plain else type(error).__name__
    return re.split(r"(?<=[.!?])\s", line, maxsplit=1)[0].rstrip(".:")


def _is_news(record: logging.LogRecord) -> bool:
    """False for log lines that say what everyone knows, or what the error that follows them says too."""
    return not str(record.msg).startswith(("torchvision is not installed", "Unable to find user code corresponding to"))


@contextlib.contextmanager
def quiet_exporter() -> Iterator[None]:
    """Keep known chatter of PyTorch's exporter off the terminal; every other warning and log line passes."""
    loggers = [
        logging.getLogger(name)
        for name in ("torch.onnx._internal.exporter._registration", "torch.fx.experimental.symbolic_shapes")
    ]
    for logger in loggers:
        logger.addFilter(_is_news)
    try:
        with warnings.catch_warnings():
            # PyTorch 2.13 copies its own deprecated LeafSpec objects
            warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
            yield
    finally:
        for logger in loggers:
            logger.removeFilter(_is_news)
