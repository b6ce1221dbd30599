"""`ganport optimize`: anyone's ONNX file to a faster one, measured against it before it is written."""

import math
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ganport_cli.plan_options import Overwrite
from ganport_cli.terminal import Json, console, print_json, say

if TYPE_CHECKING:
    from ganport_export.optimize import Optimized

SourceArgument = Annotated[
    Path, typer.Argument(metavar="IN.onnx", help="A generator of one float32 input [batch, ...].")
]
OutArgument = Annotated[Path, typer.Argument(metavar="OUT.onnx", help="The file to write.")]
FormOption = Annotated[str, typer.Option(help="Of transposed convolutions: deconv (as they are), phase or fused.")]
PrecisionOption = Annotated[str, typer.Option(help="fp32, fp16 or int8.")]
KindOption = Annotated[str | None, typer.Option(help="Of int8: u8s8 (the default, for CPUs) or s8s8 (for TensorRT).")]
FloorOption = Annotated[float, typer.Option(help="dB: a result whose mean PSNR against IN is lower is not written.")]
CalibrationOption = Annotated[
    Path | None, typer.Option(help="An .npy of inputs to calibrate and measure with; not given: latents N(0, 1).")
]


def optimize(
    source: SourceArgument,
    out: OutArgument,
    form: FormOption = "deconv",
    precision: PrecisionOption = "fp32",
    kind: KindOption = None,
    min_psnr: FloorOption = 35.0,
    calibration: CalibrationOption = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Write a faster file of a generator's ONNX file; inputs and outputs stay what they are.

    Batch norms are folded, transposed convolutions take another form, and the precision becomes another. What cannot
    be treated stays as it is, and is named. OUT is run on the same inputs as IN: PSNR is the mean over samples of
    10 log10(peak^2 / mean squared error), where the peak is 255 for a uint8 output, and else the range of IN's output.

    Example: ganport optimize generator.onnx fast.onnx --form phase --precision fp16
    """
    choices = _choices(form, precision, kind, min_psnr)
    from ganport_export.optimize import optimize as optimize_file

    def observe(line: str) -> None:
        say(f"Note: {line}")

    with console().status(f"Optimizing {source}, and measuring the result against it"):
        result = optimize_file(
            source, out, **choices, min_psnr_db=min_psnr, calibration=calibration, overwrite=overwrite, observer=observe
        )
    _show(result, out)
    if json:
        asked = {**choices, "kind": choices["kind"] if precision == "int8" else None, "min_psnr_db": min_psnr}
        print_json({"source": str(source), "out": str(out), **asked, **result.to_json()})


def _choices(form: str, precision: str, kind: str | None, min_psnr: float) -> dict[str, Any]:
    from ganport_export.quantize import KINDS
    from ganport_export.variants import FORMS
    from ganport_runtime.manifest import PRECISIONS

    _check("--form", form, FORMS)
    _check("--precision", precision, PRECISIONS)
    if kind is not None and precision != "int8":
        raise typer.BadParameter(f"--kind {kind} is a kind of int8, and --precision is {precision}")
    _check("--kind", kind or KINDS[0], KINDS)
    if math.isnan(min_psnr):
        raise typer.BadParameter("--min-psnr is no number: give a floor in dB, such as 35")
    return {"form": form, "precision": precision, "kind": kind or KINDS[0]}


def _check(option: str, given: str, known: Collection[str]) -> None:
    if given not in known:
        raise typer.BadParameter(f"{option} {given} is unknown: choose from {', '.join(known)}")


def _show(result: "Optimized", out: Path) -> None:
    done = [f"{what.replace('_', ' ')}: {count}" for what, count in result.treated.items() if count]
    unchanged = "Nothing changed: what was asked for treats nothing in this graph."
    lines = [
        "; ".join(done).capitalize() + "." if done else "" if result.changed else unchanged,
        f"Compared with the original on {result.inputs}:",
        *(f"  {output}" for output in result.outputs),
        f"Wrote {out}",
    ]
    say("\n".join(filter(None, lines)))
