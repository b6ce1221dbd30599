"""What makes a server's images: batchers in this process or replicas elsewhere, behind one protocol."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from ganport_runtime.serving import Scores
from numpy.typing import NDArray


@dataclass(frozen=True)
class Served:
    """The bundle that is served at one moment."""

    name: str  # the bundle's name, as its manifest has it
    path: Path  # where it was opened
    digest: str  # of its manifest, in hexadecimal; another bundle has another one
    latent_dim: int  # numbers in one latent vector
    image_shape: tuple[int, int, int]  # (height, width, channels)
    feature_dim: int | None  # numbers in one feature vector; None where the bundle has no discriminator
    buckets: tuple[int, ...]  # batch sizes that the engine runs
    plans: Mapping[str, str]  # for each role, the plan in use as one line of text


@dataclass(frozen=True)
class Load:
    """How busy an engine is."""

    queued: int  # images that wait
    running: int  # images in the engine
    images_per_second: float  # what it has measured itself to make when it is busy; 0 where nothing ran yet
    replicas: int = 1  # how many serve


class Engine(Protocol):
    """Makes images, scores and features for any number of clients at once, on one event loop.

    Every call may raise InputError (the request is wrong), QueueFullError (ask again later), DeadlineError (it would
    be late), NotReadyError (starting, draining, replicas lost) or PlanError (the engine failed on this batch).
    """

    kind: str  # `local` or `ray`

    @property
    def served(self) -> Served:
        """What is served now. Raises NotReadyError: nothing yet."""

    def refusal(self) -> str | None:
        """Why it is not ready, or None: every bucket of every model is warm and the probe passed."""

    def load(self) -> Load:
        """How busy it is."""

    async def start(self) -> None:
        """Open the bundle, warm every bucket of every model and pass the probe.

        Raises BundleError: the bundle cannot be trusted. Raises PlanError: nothing here can run it.
        """

    async def sample(
        self, count: int, *, seed: int = 0, start: int = 0, timeout: float | None = None
    ) -> NDArray[np.uint8]:
        """The images `start` to `start + count - 1` of a seed, uint8 [count, height, width, channels].

        `timeout`: seconds within which the images are wanted; None: whenever.
        """

    async def generate(self, z: NDArray[np.float32], *, timeout: float | None = None) -> NDArray[np.uint8]:
        """The images of latents, float32 [n, latent_dim] to uint8 [n, height, width, channels]."""

    async def examine(self, images: NDArray[np.uint8], *, timeout: float | None = None) -> Scores:
        """Logits and features of images, uint8 [n, height, width, channels]."""

    async def swap(self, path: Path) -> Served:
        """Load, warm and probe another bundle beside the present one, then let it take over between two batches.

        No accepted request is lost; where the new bundle fails, the old one goes on serving.

        Raises BundleError, PlanError: why the new bundle was not taken.
        """

    async def close(self, *, drain: bool = True) -> None:
        """Stop accepting; finish what was accepted where `drain`; let go of everything."""
