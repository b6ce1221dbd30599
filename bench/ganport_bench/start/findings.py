"""What the lives of processes took and held, as quantities."""

from collections.abc import Iterator, Sequence

import numpy as np
from ganport_runtime.buckets import BUCKETS, TOP

from ganport_bench.start.lives import Lived, Lives
from ganport_bench.start.quantity import Quantity
from ganport_bench.timing import difference, ratio

__all__ = [
    "FIRST_OPENING",
    "MOMENTS",
    "ON_GPU",
    "PEAK",
    "PROBE",
    "RESIDENT",
    "STEPS",
    "TO_FIRST_IMAGE",
    "findings",
]

STEPS = ("interpreter", "import", "engine import", "open", "first image")
MOMENTS = {**{name: name for name in STEPS[1:]}, f"batch {TOP}": "top bucket"}  # at which memory is looked at
TO_FIRST_IMAGE = "start of the process to the first image"
FIRST_OPENING = "open, the first time on this machine"
PROBE = "probe: the first opening over later ones"
RESIDENT, ON_GPU, PEAK = "resident after {}", "GPU memory after {}", "peak resident"


def findings(lived: Lived) -> Iterator[Quantity]:
    """Seconds of every step, warm-up of every bucket and memory, way by way."""
    for name, lives in lived.usual.items():
        yield from _start(lives)
        if name in lived.first:
            yield from _first_opening(lives, lived.first[name])
        if lives.way.peer in lived.usual:
            yield from _beside(lives, lived.usual[lives.way.peer])
        yield from _warm_up(lives)
        yield from _memory(lives)


def _start(lives: Lives) -> Iterator[Quantity]:
    name = lives.way.name
    for step in STEPS:
        yield Quantity.of_seconds("start", name, step, lives.seconds(step))
    yield Quantity.of_seconds("start", name, TO_FIRST_IMAGE, lives.seconds(*STEPS))


def _first_opening(later: Lives, first: Lives) -> Iterator[Quantity]:
    name, taken, base = later.way.name, first.seconds("open"), later.seconds("open")
    yield Quantity.of_seconds("start", name, FIRST_OPENING, taken)
    yield Quantity("start", name, PROBE, "ms", difference(taken, base).scaled(1e3), len(taken))


def _beside(lives: Lives, peer: Lives) -> Iterator[Quantity]:
    name = lives.way.name
    for what, steps in {"open": ("open",), TO_FIRST_IMAGE: STEPS}.items():
        taken, base = lives.seconds(*steps), peer.seconds(*steps)
        yield Quantity("start", name, f"{what}, over {peer.way.name}", "x", ratio(taken, base), len(taken))


def _warm_up(lives: Lives) -> Iterator[Quantity]:
    name = lives.way.name
    for bucket in BUCKETS:
        steps = lives.steps(f"batch {bucket}")
        later = np.array([step.later for step in steps], np.float64)
        yield Quantity.of_seconds("warm-up", name, "first call", lives.seconds(f"batch {bucket}"), batch=bucket)
        yield Quantity.of_seconds("warm-up", name, "later calls", later, batch=bucket)


def _memory(lives: Lives) -> Iterator[Quantity]:
    """What this system tells of: resident memory, the peak at the end, and memory of GPUs."""
    for step, moment in MOMENTS.items():
        yield from _bytes(lives, RESIDENT.format(moment), [one.resident for one in lives.steps(step)])
    yield from _bytes(lives, PEAK, [one.peak for one in lives.steps(f"batch {TOP}")])
    for step, moment in MOMENTS.items():
        yield from _bytes(lives, ON_GPU.format(moment), [one.gpu for one in lives.steps(step)])


def _bytes(lives: Lives, what: str, found: Sequence[int | None]) -> Iterator[Quantity]:
    sizes = [size for size in found if size is not None]
    if sizes:
        yield Quantity.of_bytes("memory", lives.way.name, what, *sizes)
