"""Sees that a network, and the engine built of it, compute in the precision that was asked for: no flag is trusted."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ganport_export.engines.libraries import Library, PrecisionError, UnsupportedPrecisionError
from ganport_export.engines.products import Products, inspect, precisions, read_programs, shown
from ganport_export.errors import ExportError


@dataclass(frozen=True)
class Verified:
    """The products that were looked at, and where: in the engine itself, or in the network before it was built."""

    products: Products
    verified_by: Literal["engine", "network"]


def check_network(name: str, asked: str, products: Products) -> None:
    """Raise `PrecisionError` for a graph that is not what its name says.

    An fp16 graph may keep products in fp32, and an int8 graph in both; one that has none of its own is mislabeled.
    """
    found = precisions(products)
    allowed = {"fp32": {"fp32"}, "fp16": {"fp16", "fp32"}, "int8": {"int8", "fp16", "fp32"}}[asked]
    if asked not in found or not found <= allowed:
        raise PrecisionError(f"{name} is called {asked} and its graph has {_said(products)}; export the graph again")


def read_back(engine: bytes, library: Library, log: Any, *, tf32: bool, capabilities: Sequence[str]) -> Products | None:
    """The products of a built engine by its own text or by the inspector, or None where neither can be read.

    Raises:
        ExportError: its text says that it was built for other GPUs, or with TF32 that was switched off.
    """
    programs = read_programs(engine) if library.builds_ahead else None
    if programs is None:
        return inspect(engine, library, log) or None
    if programs.tf32 and not tf32:
        raise PrecisionError(f"{library} built an engine that rounds float32 to TF32, which was switched off")
    named = {name for name in capabilities if not name.endswith("+")}
    if named and programs.compute_capabilities != named:
        built = ", ".join(sorted(programs.compute_capabilities))
        raise ExportError(f"{library} was to build for {', '.join(capabilities)} and built for {built}")
    return programs.products or None


def check_engine(
    name: str, asked: str, library: Library, network: Products, engine: Products | None, programs: int | None = None
) -> Verified:
    """Compare an engine with the network that it was built of, which `check_network` has passed.

    Args:
        name: of the graph.
        asked: its precision.
        library: what built the engine.
        network: the products of the graph.
        engine: those of the engine, or None where they cannot be read.
        programs: how often the engine holds the network, once a profile; None: as often as its products need.

    Raises:
        UnsupportedPrecisionError: the graph is int8, and layers that it quantizes run in floating point.
        PrecisionError: any other precision than asked for.
    """
    if engine is None:
        return Verified(network, "network")
    lost = _lost(asked, network, engine, programs)
    if asked == "int8" and lost:
        raise UnsupportedPrecisionError(
            f"no engine of {name}: {library} has no int8 kernel for its {', '.join(lost)} and would run "
            f"{_said(engine)} where the graph has {_said(network)}; "
            "the form phase is made of convolutions, which run in int8"
        )
    if lost or asked not in precisions(engine) or (asked != "int8" and engine.keys() - network.keys()):
        raise PrecisionError(
            f"{name} was to be {asked}, its graph has {_said(network)}; {library} built {_said(engine)}"
        )
    return Verified(engine, "engine")


def _lost(asked: str, network: Products, engine: Products, programs: int | None) -> list[str]:
    """The kinds of which more run in other precisions than asked for than in the network.

    An engine may hold fewer products of a kind, since some are merged, but never more of another precision.
    """
    wanted, found = _by_kind(network), _by_kind(engine)
    times = programs or max((math.ceil(found[kind] / count) for kind, count in wanted.items()), default=1)
    allowed, others = _by_kind(network, but=asked), _by_kind(engine, but=asked)
    return sorted(kind for kind in wanted if others[kind] > allowed[kind] * times)


def _by_kind(products: Products, but: str | None = None) -> Counter[str]:
    """How many products there are of each kind, those of one precision left out."""
    counts: Counter[str] = Counter()
    for (kind, precision), count in products.items():
        counts[kind] += 0 if precision == but else count
    return counts


def _said(products: Products) -> str:
    return ", ".join(f"{count} {layer}" for layer, count in shown(products).items()) or "no product of any precision"
