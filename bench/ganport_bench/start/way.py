"""One way to come from a fresh process to images."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ganport_bench.own_cache import CACHE

__all__ = ["Way"]

PROBES = "probes"  # in ganport's cache folder: which plans have passed


@dataclass(frozen=True)
class Way:
    """What a process opens and runs.

    Attributes:
        name: for people.
        kind: `ganport`, or `bare` for a session that is written by hand.
        runs: what runs the images, in words; several where batch sizes differ.
        task: of `child.py`.
        words: what it is told after batch sizes and calls.
        cache: ganport's cache folder, this way's alone: its tuning record, and the plans that have passed the probe;
            None where none is used.
        peer: the bare way on the same file, or empty.
    """

    name: str
    kind: Literal["ganport", "bare"]
    runs: tuple[str, ...]
    task: str
    words: tuple[str, ...]
    cache: Path | None = None
    peer: str = ""

    @property
    def environment(self) -> Mapping[str, str]:
        """What its process has beside this one's variables."""
        return {} if self.cache is None else {CACHE: str(self.cache)}

    def forget_probes(self) -> None:
        """Make the next opening the first on this machine."""
        if self.cache is not None:
            shutil.rmtree(self.cache / PROBES, ignore_errors=True)

    def to_json(self) -> dict[str, Any]:
        """Its part of the document."""
        return {"name": self.name, "kind": self.kind, "runs": list(self.runs), "peer": self.peer}
