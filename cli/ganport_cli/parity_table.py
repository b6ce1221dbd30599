"""How near a bundle's graphs are to their networks, as people read it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.table import Table

from ganport_cli.terminal import table

if TYPE_CHECKING:
    from ganport_runtime.manifest import Manifest, Variant


def parity_table(manifest: "Manifest") -> Table:
    """Every graph's figures beside the limits that they were held to."""
    rows = [row for variant in manifest.variants for row in _rows(variant)]
    return table("Parity with the network in float64", ("graph", "figure", "measured", "limit"), rows)


def _rows(variant: "Variant") -> Iterator[tuple[str, str, str, str]]:
    from ganport_export.discriminator_parity import DISCRIMINATOR_GATES
    from ganport_export.generator_parity import GENERATOR_GATES

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
