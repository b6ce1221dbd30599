"""What ganport's own code takes of a call: the real generator on an engine that does nothing.

Checks, the choice of a bucket, padding, splitting and putting together all happen; an engine's time is missing, and so
are the images: the engine hands out the same zeros every time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from ganport_runtime import Bundle, Generator, latents
from ganport_runtime.backends import Tensor
from ganport_runtime.batches import BUCKETS
from ganport_runtime.manifest import GeneratorInfo, ImageInfo, LatentInfo, Manifest
from ganport_runtime.opening import Running
from ganport_runtime.plan import Plan
from numpy.typing import NDArray

from ganport_bench.timing import Estimate, interleave, median, stopwatch

SYSTEM = "null backend"
ROUNDS = 31
CALLS = 200  # a turn: some milliseconds, in which caches and the clock's own cost do not matter


@dataclass(frozen=True)
class Overhead:
    """Ganport's own part of a call."""

    batch: int  # images a call
    microseconds: Estimate  # of one call

    def to_json(self) -> dict[str, Any]:
        """Its part of the document."""
        return {"system": SYSTEM, **asdict(self)}


def measure_overhead(
    image_shape: tuple[int, int, int], latent_dim: int, batches: Sequence[int], *, rounds: int = ROUNDS
) -> list[Overhead]:
    """Time calls of every batch size, none of which need be a bucket, in turns. A shape is height, width, channels."""
    with null_generator(image_shape, latent_dim) as generator:
        calls = {batch: partial(generator, latents(7, 0, batch, latent_dim)) for batch in batches}
        systems = {str(batch): stopwatch(call, calls=CALLS) for batch, call in calls.items()}
        taken = interleave(systems, rounds=rounds)
    return [Overhead(batch, median(taken[str(batch)]).scaled(1e6)) for batch in calls]


def null_generator(image_shape: tuple[int, int, int], latent_dim: int) -> Generator:
    """A generator like any other, but for its engine."""
    info = GeneratorInfo(LatentInfo(latent_dim), ImageInfo(*image_shape))
    manifest = Manifest("null", "", {}, {}, generator=info, discriminator=None, variants=())
    session = NullSession(*Generator.signature(manifest))
    running = Running(_plan(session), session)
    return Generator(Bundle(Path(SYSTEM), manifest, digest=""), dict.fromkeys(BUCKETS, running))


class NullSession:
    """A session whose run does nothing; batches are padded to buckets, as on a GPU."""

    provider, precision = SYSTEM, "fp32"
    options: Mapping[str, str] = MappingProxyType({})
    pads_to_bucket, is_sized = True, False

    def __init__(self, latents: Tensor, image: Tensor) -> None:
        self.inputs: tuple[Tensor, ...] = (latents,)
        self.outputs: tuple[Tensor, ...] = (image,)
        shape = [size for size in image.shape if size is not None]
        self._images = {bucket: np.zeros((bucket, *shape), image.dtype) for bucket in BUCKETS}

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:  # noqa: ARG002
        """The zeros of a bucket, which are not the caller's own: nothing is copied that an engine would not copy."""
        (rows,) = inputs.values()
        return [self._images[len(rows)]]

    def close(self) -> None:
        """Nothing is held."""


def _plan(session: NullSession) -> Plan:
    return Plan(
        role="generator",
        variant=SYSTEM,
        form="",
        precision=session.precision,
        backend=SYSTEM,
        backend_version="",
        device="cpu",
        provider=session.provider,
        threads=None,
    )
