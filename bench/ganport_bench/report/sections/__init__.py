"""Sections of the page: each makes its HTML of the document alone."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ganport_bench.report.html import Html
from ganport_bench.report.rows import Document
from ganport_bench.report.sections.ceilings import ceilings, overhead
from ganport_bench.report.sections.glance import glance
from ganport_bench.report.sections.load import load
from ganport_bench.report.sections.machine import machine, opening
from ganport_bench.report.sections.nodes import nodes
from ganport_bench.report.sections.scenarios import scenarios
from ganport_bench.report.sections.speed import speed
from ganport_bench.report.sections.start import start

__all__ = ["SECTIONS", "Section", "opening"]


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        title: its heading.
        key: of the document, without which there is nothing to show.
        part: of the benchmark, which is named where the key is absent.
        make: its HTML.
        figures: that stand above it.
    """

    title: str
    key: str
    part: str
    make: Callable[[Document], Iterator[Html]]
    figures: Sequence[str] = ()


SPEED = ("throughput", "latency-against-throughput", "percentiles", "fidelity-against-speed", "share-of-ceiling")
SECTIONS = (
    Section("At a glance", "summary", "speed", glance),
    Section("Speed", "rows", "speed", speed, SPEED),
    Section("Ceilings", "ceilings", "speed", ceilings),
    Section("Overhead", "overhead", "speed", overhead),
    Section("Nodes", "nodes", "nodes", nodes, ("time-by-node",)),
    Section("Start", "start", "start", start, ("start-to-first-image",)),
    Section("Scenarios", "scenarios", "scenarios", scenarios),
    Section("Load", "load", "load", load, ("latency-under-load",)),
    Section("Machine", "machine", "machine", machine),
)
