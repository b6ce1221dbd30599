"""Measures everything about the start of a bundle on this machine."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganport_runtime import Bundle

from ganport_bench.command import OnStep
from ganport_bench.start.bundle_size import bundle_quantities
from ganport_bench.start.effort import Effort
from ganport_bench.start.engines import build_in_turns, engine_quantities, loading_ways
from ganport_bench.start.findings import findings
from ganport_bench.start.gpu_memory import watching_gpus
from ganport_bench.start.importing import measure_imports
from ganport_bench.start.installed_size import installed_quantities
from ganport_bench.start.lives import live_in_turns
from ganport_bench.start.quantity import Quantity
from ganport_bench.start.way import Way
from ganport_bench.start.ways import ways_of

__all__ = ["CONDITIONS", "Start", "measure_start"]

CONDITIONS = (
    "every repetition is a fresh process",
    "files are in the system's file cache (warm page cache): after a boot everything takes longer",
    "modules have byte code, as after an installation",
    "every call draws its own latents, by ganport or by numpy's generator",
)


@dataclass(frozen=True)
class Start:
    """What was found.

    Attributes:
        quantities: every number.
        ways: what the processes opened.
        missing: what could not be measured, and why.
    """

    quantities: tuple[Quantity, ...]
    ways: tuple[Way, ...]
    missing: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """The part `start` of the document, as the package's docstring has it."""
        return {
            "conditions": list(CONDITIONS),
            "ways": [way.to_json() for way in self.ways],
            "quantities": [quantity.to_json() for quantity in self.quantities],
            "missing": dict(self.missing),
        }


def measure_start(bundle: Path, effort: Effort, on_step: OnStep) -> Start:
    """Measure imports, engines, openings, warm-up, memory and sizes.

    Args:
        bundle: its generator is opened.
        effort: how often; `FULL` or `QUICK`.
        on_step: told in a few words what is being done.

    Raises:
        BundleError: the bundle is missing, malformed or altered.
        PlanError: nothing on this machine can run it.
    """
    missing: dict[str, str] = {}
    opened = Bundle.open(bundle)
    with tempfile.TemporaryDirectory(prefix="ganport-start-") as name:
        folder = Path(name)
        on_step("imports in fresh processes")
        imports = tuple(measure_imports(effort.imports, missing.__setitem__))
        on_step("building engines")
        built = build_in_turns(opened, folder / "engines", effort.builds, missing.__setitem__)
        on_step("ways to open the bundle")
        loading = loading_ways(built, opened.manifest.generator.latent.dim, missing.__setitem__)
        ways = (*ways_of(opened, folder / "caches", effort.tuning_seconds, missing.__setitem__), *loading)
        on_step("from a fresh process to images")
        with watching_gpus() as gpus:
            if isinstance(gpus, str):
                missing["GPU memory"] = gpus
            watched = None if isinstance(gpus, str) else gpus
            lived = live_in_turns(ways, effort.lives, effort.calls, watched, missing.__setitem__)
        quantities = (*imports, *findings(lived), *engine_quantities(built))
    on_step("sizes")
    sizes = (*bundle_quantities(opened), *installed_quantities())
    measured = tuple(way for way in ways if way.name in lived.usual)
    return Start((*quantities, *sizes), measured, missing)
