"""Runs the optimizer without a word, and reads what its files declare."""

from pathlib import Path
from typing import Any

import onnx
from ganport_export.optimize import Optimized, optimize


def quiet(source: Path, out: Path, **options: Any) -> Optimized:
    """Without a word; what would be said is `left` in the result."""
    return optimize(source, out, observer=list[str]().append, **options)


def declared(path: Path) -> list[onnx.ValueInfoProto]:
    graph = onnx.load(path).graph
    return [*graph.input, *graph.output]
