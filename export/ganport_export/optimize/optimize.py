"""From one ONNX file to a faster one: read, transformed, measured against the original, and written if it is near."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganport_export.activations import serialize
from ganport_export.choices import DEFAULT_MIN_PSNR_DB, FORMS, PRECISIONS
from ganport_export.errors import ExportError, ParityError
from ganport_export.observer import Observer, log
from ganport_export.onnx_file import check_onnx_output, write_onnx
from ganport_export.optimize.original import Original
from ganport_export.optimize.output_differences import OutputDifference
from ganport_export.optimize.transforms import Transforms
from ganport_export.quantize import KINDS

__all__ = ["Optimized", "optimize"]

SAME_DB = 60.0  # forms compute the same but for the order of sums, which no float32 result shows more than this


@dataclass(frozen=True)
class Optimized:
    """What became of a file.

    Args:
        changed: whether the graph that was written is another one.
        treated: how many nodes of which sort were changed.
        left: one line for each node that stays as it is, and for what else there is to know.
        outputs: every output beside the original's.
        inputs: what they were compared on, in words.
        quantization: how the int8 graph came about, where one was made.
    """

    changed: bool
    treated: Mapping[str, int]
    left: tuple[str, ...]
    outputs: tuple[OutputDifference, ...]
    inputs: str
    quantization: Mapping[str, Any] | None

    @property
    def psnr_db(self) -> float:
        """The lowest of the outputs' mean PSNRs."""
        return min(output.psnr_db_mean for output in self.outputs)

    def to_json(self) -> dict[str, Any]:
        """The figures by name."""
        return {
            "changed": self.changed,
            "treated": dict(self.treated),
            "left": list(self.left),
            "inputs": self.inputs,
            "psnr_db": self.psnr_db,
            "outputs": [output.to_json() for output in self.outputs],
            "quantization": None if self.quantization is None else dict(self.quantization),
        }


def optimize(
    source: Path,
    out: Path,
    *,
    form: str = "deconv",
    precision: str = "fp32",
    kind: str = KINDS[0],
    min_psnr_db: float = DEFAULT_MIN_PSNR_DB,
    calibration: Path | None = None,
    overwrite: bool = False,
    observer: Observer = log,
) -> Optimized:
    """Write a faster file of a generator's ONNX file, whose inputs and outputs stay what they are.

    Args:
        source: any network of one float32 input [batch, ...].
        out: the file to write; where nothing can be treated it is the source's graph.
        form: one of `forms.FORMS`.
        precision: fp32, fp16 or int8.
        kind: of int8, one of `quantize.KINDS`.
        min_psnr_db: the lowest mean PSNR of an output, against the source's, at which a file is written.
        calibration: an .npy file of inputs to use; None: random latents.
        overwrite: whether `out` may be replaced.
        observer: told of each node that stays as it is, and why.

    Raises:
        ExportError: a file that cannot be read, run, measured or written, or a result under the floor.
    """
    _check_choices(form, precision, kind)
    check_onnx_output(out, source, overwrite=overwrite)
    notes = _Notes(observer)
    original = Original(source, calibration, notes)
    result, data = _transformed(original, Transforms(form, precision, kind, min_psnr_db, notes), notes)
    if precision == "fp32":
        _check_form(result, form, source)
    _check_floor(result, min_psnr_db, source)
    write_onnx(out, data)
    return result


class _Notes:
    """An observer that remembers what another one is told."""

    def __init__(self, observer: Observer) -> None:
        self.lines: list[str] = []
        self._observer = observer

    def __call__(self, line: str) -> None:
        self.lines.append(line)
        self._observer(line)


def _transformed(original: Original, transforms: Transforms, notes: _Notes) -> tuple[Optimized, bytes]:
    """The result, measured, and the bytes of its file."""
    made = transforms.apply(original.model, original.feeds)
    original.give_signature(made)
    data = serialize(made) if transforms.changed else original.data
    result = Optimized(
        changed=transforms.changed,
        treated=transforms.treated,
        left=tuple(notes.lines),
        outputs=original.compare(data),
        inputs=original.feeds.source,
        quantization=transforms.quantization,
    )
    return result, data


def _check_choices(form: str, precision: str, kind: str) -> None:
    for what, given, known in (("form", form, FORMS), ("precision", precision, PRECISIONS), ("kind", kind, KINDS)):
        if given not in known:
            raise ExportError(f"{what} {given!r} is unknown: choose from {', '.join(known)}")


def _worst(result: Optimized) -> OutputDifference:
    return min(result.outputs, key=lambda output: output.psnr_db_mean)


def _check_form(result: Optimized, form: str, source: Path) -> None:
    worst = _worst(result)
    if not worst.psnr_db_mean >= SAME_DB:
        raise ParityError(
            f"form {form} changed the result of {source}: {worst}, under {SAME_DB:g} dB, whatever --min-psnr is; "
            "nothing was written: choose another form"
        )


def _check_floor(result: Optimized, min_psnr_db: float, source: Path) -> None:
    worst = _worst(result)
    if not worst.psnr_db_mean >= min_psnr_db:
        raise ParityError(
            f"the result is too far from {source}: {worst}, and --min-psnr is {min_psnr_db:g} dB; nothing was written: "
            "choose another precision or kind, or a lower --min-psnr"
        )
