"""`ganport export`: a training run, or anyone's own generator, to a bundle whose graphs were measured."""

import contextlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.status import Status
from rich.table import Table

from ganport_cli.terminal import Json, console, print_json, say, table

if TYPE_CHECKING:
    from ganport_runtime.manifest import Manifest, Variant

SourceArgument = Annotated[str, typer.Argument(help="A run directory, or package.module:factory for your own network.")]
OutOption = Annotated[Path, typer.Option(help="The bundle to write, such as emoji.ganport.")]
CheckpointOption = Annotated[str | None, typer.Option(help="Of a run: best (the default), last or step-N.")]
RawOption = Annotated[bool, typer.Option("--raw-weights", help="Of a run: the live generator, not the averaged one.")]
WeightsOption = Annotated[Path | None, typer.Option(help="Of your own network: its .safetensors file.")]
LatentOption = Annotated[int | None, typer.Option(min=1, help="Of your own network: numbers in one latent.")]
SizeOption = Annotated[int | None, typer.Option(min=1, help="Of your own network: height and width of its images.")]
FormsOption = Annotated[str, typer.Option(help="Forms of the generator's graph, separated by commas.")]
PrecisionsOption = Annotated[str, typer.Option(help="Of the generator, separated by commas, fp32 among them.")]
FloorOption = Annotated[float, typer.Option(help="dB against fp32; a variant below it is left out.", metavar="DB")]
EnginesOption = Annotated[str, typer.Option(help="Build engines too: tensorrt-rtx, tensorrt, separated by commas.")]


def export(  # one parameter an option, which is how typer reads a command line
    source: SourceArgument,
    out: OutOption,
    checkpoint: CheckpointOption = None,
    raw_weights: RawOption = False,
    weights: WeightsOption = None,
    latent_dim: LatentOption = None,
    image_size: SizeOption = None,
    forms: FormsOption = "deconv,phase,fused",
    precisions: PrecisionsOption = "fp32,fp16,int8",
    min_psnr: FloorOption = 35.0,
    engines: EnginesOption = "",
    name: Annotated[str | None, typer.Option(help="What the bundle is called; not given: as its directory.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the bundle that is there.")] = False,
    json: Json = False,
) -> None:
    """Export a run, or your own generator, to a bundle of graphs that are measured against the network first.

    Forms are deconv (as trained), phase (four convolutions for a transposed one; with deconv, for TensorRT) and fused
    (for CPUs). fp32 must equal the network in float64; fp16 and int8 are compared with fp32 on 1,024 images.

    Your own network is any torch.nn.Module that takes latents, float32 [n, latent_dim], and returns images in [-1, 1],
    [n, 1 or 3, size, size]. The factory is called without arguments and is found from the current directory too.

    Example: ganport export runs/emoji --out emoji.ganport
    """
    of_run: dict[str, Any] = {"checkpoint": checkpoint, "weights": "raw" if raw_weights else None}
    of_module: dict[str, Any] = {"weights": weights, "latent_dim": latent_dim, "image_size": image_size}
    choices = _choices(min_psnr, forms=forms, precisions=precisions, engines=engines)
    if ":" in source and not Path(source).is_dir():
        _refuse({"--checkpoint": checkpoint, "--raw-weights": raw_weights or None}, "a run directory", source)
        _require(of_module, source)
        make, options = _export_module, of_module
    else:
        _refuse({_option(key): value for key, value in of_module.items()}, "package.module:factory", source)
        make, options = _export_run, of_run
    notes: list[str] = []

    def observe(line: str) -> None:
        notes.append(line)
        say(f"Note: {line}")

    common = {**choices, "name": name, "overwrite": overwrite, "observer": observe}
    with console().status("Exporting") as status:
        manifest = make(source, out, {**options, **common, "progress": show_step(status)})
    _show(manifest, source, out)
    if json:
        print_json(_document(manifest, out, notes))


def _choices(min_psnr: float, **lists: str) -> dict[str, Any]:
    from ganport_export import ExportError
    from ganport_export.variants import ExportChoices

    asked = {key: tuple(part.strip() for part in text.split(",")) for key, text in lists.items()}
    engines = asked["engines"] if lists["engines"].strip() else ()
    choices: dict[str, Any] = {**asked, "engines": engines, "min_psnr": min_psnr}
    try:
        ExportChoices(**choices)
    except ExportError as error:
        raise typer.BadParameter(str(error)) from None
    return choices


def _option(key: str) -> str:
    return "--" + key.replace("_", "-")


def _refuse(given: Mapping[str, object], kind: str, source: str) -> None:
    names = [name for name, value in given.items() if value is not None]
    if names:
        raise typer.BadParameter(f"{', '.join(names)} belongs to {kind}, and {source} is none")


def _require(needed: Mapping[str, object], source: str) -> None:
    missing = [_option(key) for key, value in needed.items() if value is None]
    if missing:
        raise typer.BadParameter(f"{source} needs {', '.join(missing)} as well")


def show_step(status: Status) -> Callable[[str], None]:
    """What shows the step that an export is at."""
    return lambda line: status.update(escape(f"{line[:1].upper()}{line[1:]}"))


def _export_run(source: str, out: Path, options: Mapping[str, Any]) -> "Manifest":
    from ganport_export import export_run

    given = {key: value for key, value in options.items() if value is not None}
    if step := re.fullmatch(r"step-(\d+)", given.get("checkpoint", "")):
        given["checkpoint"] = f"step-{int(step[1]):06d}"
    return export_run(Path(source), out, **given)


def _export_module(source: str, out: Path, options: Mapping[str, Any]) -> "Manifest":
    from ganport_export import export_module

    with _user_code():
        return export_module(source, out=out, **options)


@contextlib.contextmanager
def _user_code() -> Iterator[None]:
    """Let the user's modules be found from the current directory, and keep what they print off stdout."""
    before = list(sys.path)
    sys.path.insert(0, str(Path.cwd()))
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        sys.path[:] = before


def _show(manifest: "Manifest", source: str, out: Path) -> None:
    if training := manifest.training:
        scores = ", ".join(f"{name} {value:.4g}" for name, value in training["scores"].items())
        weights = {"ema": "averaged", "raw": "live"}[training["weights"]]
        say(f"From step {training['steps']} of {source} ({scores}), {weights} weights of the generator.")
    show_figures(manifest)
    if len([variant for variant in manifest.variants if variant.fidelity]) > 1:
        say(f"{out / 'fidelity'}: pictures of fp32, of each variant, and of their difference, eight times.")
    say(f"Wrote {out}. Next: ganport generate {out} --out grid.png")


def show_figures(manifest: "Manifest") -> None:
    """Show how near the graphs came to their networks and to each other."""
    console().print(_parity_table(manifest))
    console().print(_fidelity_table(manifest))


def _parity_table(manifest: "Manifest") -> Table:
    rows = [row for variant in manifest.variants if variant.parity for row in _parity_cells(variant)]
    return table("Parity with the network in float64", ("graph", "figure", "measured", "limit"), rows)


def _fidelity_table(manifest: "Manifest") -> Table:
    measured = [variant for variant in manifest.variants if variant.fidelity]
    images = measured[0].fidelity["images"] if measured else 0
    columns = ("graph", "PSNR, mean", "worst image", "values off", "largest difference, of 255")
    return table(f"Fidelity to fp32, {images:,} images", columns, map(_fidelity_cells, measured))


def _fidelity_cells(variant: "Variant") -> tuple[str, ...]:
    figures = variant.fidelity
    if variant.id == figures["reference"]:
        return variant.id, "the reference", "", "", ""
    return (
        variant.id,
        f"{figures['psnr_db_mean']:.1f} dB",
        f"{figures['psnr_db_worst']:.1f} dB",
        f"{figures['share_off']:.2%}",
        str(figures["largest_difference"]),
    )


def _parity_cells(variant: "Variant") -> Iterator[tuple[str, str, str, str]]:
    from ganport_export.discriminator import DISCRIMINATOR_GATES
    from ganport_export.generator import GENERATOR_GATES

    figures = variant.parity
    if variant.role == "discriminator":
        limit = f"{DISCRIMINATOR_GATES[variant.precision].error:g}"
        yield variant.id, "logit error, relative", f"{figures['logit_error']:.2g}", limit
        yield "", "features error, relative", f"{figures['features_error']:.2g}", limit
        return
    gate = GENERATOR_GATES[variant.precision]
    yield variant.id, "largest difference, of 255", str(figures["largest_difference"]), str(gate.largest_difference)
    yield "", "PSNR", f"{figures['psnr_db']:.1f} dB", f"{gate.psnr_db:g} dB"
    yield "", "pixel values off by one or more", f"{figures['share_off']:.4%}", ""
    between = str(figures["largest_batch_difference"])
    yield "", "largest difference between batch sizes", between, str(gate.largest_difference)
    yield "", "images", str(figures["images"]), ""


def _document(manifest: "Manifest", out: Path, notes: list[str]) -> dict[str, Any]:
    document = manifest.to_json()
    keys = ("name", "training", "generator", "discriminator", "variants", "engines")
    return {"bundle": str(out), **{key: document[key] for key in keys}, "notes": notes}
