"""What travels between a front and its replicas: values that pickle, and nothing that needs Ray."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ganport_runtime.buckets import parts
from ganport_runtime.serving import BatchReport, Scores
from numpy.typing import NDArray

from ganport_serve.engine import Served
from ganport_serve.ray_engine.troubles import Trouble

__all__ = ["Delivery", "ImageJob", "Job", "LatentJob", "Made", "Parcel", "ReplicaState", "SeedJob"]


@dataclass(frozen=True)
class SeedJob:
    """The images `start` to `start + images - 1` of a seed."""

    images: int
    seed: int
    start: int

    @classmethod
    def split(cls, count: int, seed: int, start: int) -> "list[SeedJob]":
        """Jobs of at most the top bucket, in order."""
        return [cls(part.stop - part.start, seed, start + part.start) for part in parts(count)]


@dataclass(frozen=True)
class _RowsJob:
    """One image for each row."""

    rows: NDArray[Any]

    @property
    def images(self) -> int:
        """How many rows."""
        return len(self.rows)


@dataclass(frozen=True)
class LatentJob(_RowsJob):
    """The images of latents, float32 [n, latent_dim]."""

    @classmethod
    def split(cls, z: NDArray[np.float32]) -> "list[LatentJob]":
        """Jobs of at most the top bucket, in order."""
        return [cls(z[part]) for part in parts(len(z))]


@dataclass(frozen=True)
class ImageJob(_RowsJob):
    """Logits and features of images, uint8 [n, height, width, channels]."""

    @classmethod
    def split(cls, images: NDArray[np.uint8]) -> "list[ImageJob]":
        """Jobs of at most the top bucket, in order."""
        return [cls(images[part]) for part in parts(len(images))]


Job = SeedJob | LatentJob | ImageJob
Made = NDArray[np.uint8] | Scores | Trouble


@dataclass(frozen=True)
class Parcel:
    """Jobs of one role, together no more than the top bucket, that one call carries to a replica.

    Attributes:
        digest: of the bundle that they are wanted of.
        jobs: what to make.
        timeouts: for each job the seconds within which it is wanted, or None.
    """

    digest: str
    jobs: Sequence[Job]
    timeouts: Sequence[float | None]


@dataclass(frozen=True)
class Delivery:
    """A replica's answer to a parcel.

    Attributes:
        made: for each job what was made of it.
        reports: the runs of its engines since its last answer, each with its role.
    """

    made: Sequence[Made]
    reports: Sequence[tuple[str, BatchReport]] = ()


@dataclass(frozen=True)
class ReplicaState:
    """How one replica is.

    Attributes:
        replica: its name, another one for each replica that ever was.
        pid: its process, on its own machine.
        served: the bundle that it serves.
        queued: images that wait in it.
        running: images in its engines.
        images_per_second: what its generator makes when busy.
        images: that it has made of its bundle so far.
        complaint: why it did not take the bundle that it was last told to take; empty where it did.
    """

    replica: str
    pid: int
    served: Served
    queued: int
    running: int
    images_per_second: float
    images: int
    complaint: str = ""
