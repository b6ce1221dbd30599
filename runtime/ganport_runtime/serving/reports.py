"""What a batcher says of itself: one report a batch, and figures at any moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BatchReport", "BatcherStats", "Scores"]


@dataclass(frozen=True)
class Scores:
    """What the discriminator makes of images.

    Attributes:
        logits: float32 [n]; larger is more real.
        features: float32 [n, F].
    """

    logits: NDArray[np.float32]
    features: NDArray[np.float32]


@dataclass(frozen=True)
class BatchReport:
    """One run of the engine.

    Attributes:
        images: rows that somebody asked for.
        bucket: the batch size that it ran at; `bucket - images` rows were padding.
        requests: how many requests have rows in it.
        queue_seconds: how long each of them waited, from its submission to the start of the engine.
        latents_seconds: what its latents took, wherever they were made.
        engine_seconds: the engine's run.
        failed: whether the engine failed.
    """

    images: int
    bucket: int
    requests: int
    queue_seconds: tuple[float, ...]
    latents_seconds: float
    engine_seconds: float
    failed: bool = False


@dataclass(frozen=True)
class BatcherStats:
    """Figures of a batcher since it was made.

    Attributes:
        queued: images that wait now.
        running: images in the engine now.
        images_per_second: measured while busy, over the last batches; 0 where nothing ran yet.
        accepted: requests.
        completed: requests.
        failed: requests whose batch failed.
        cancelled: requests.
        refused: requests never accepted or dropped, by reason: `queue_full`, `deadline`, `closed`.
        images: made for somebody.
        batches: runs of the engine.
    """

    queued: int = 0
    running: int = 0
    images_per_second: float = 0.0
    accepted: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    images: int = 0
    batches: int = 0

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**self.__dict__, "refused": dict(self.refused)}
