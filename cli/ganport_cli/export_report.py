"""What people see of an export: what it is doing, and how near its graphs came to their networks and to each other."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from ganport_cli.terminal import console, table

if TYPE_CHECKING:
    from ganport_runtime.manifest import Manifest, Variant


@contextmanager
def export_progress() -> Iterator[Callable[[str], None]]:
    """Show whatever the function that this lends is told, until the block ends."""
    with console().status("Exporting") as status:
        yield lambda line: status.update(escape(f"{line[:1].upper()}{line[1:]}"))


def parity_table(manifest: "Manifest") -> Table:
    """The figures of every graph that was measured against its network, beside the limits that they were held to."""
    rows = [row for variant in manifest.variants if variant.parity for row in _rows(variant)]
    return table("Parity with the network in float64", ("graph", "figure", "measured", "limit"), rows)


def fidelity_table(manifest: "Manifest") -> Table:
    """How far every generator's images are from those of the fp32 reference."""
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


def _rows(variant: "Variant") -> Iterator[tuple[str, str, str, str]]:
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
