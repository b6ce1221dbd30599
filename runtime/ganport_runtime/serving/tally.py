"""The counts of a batcher since it was made."""

from dataclasses import dataclass, field

from ganport_runtime.serving.reports import BatcherStats

__all__ = ["Tally"]

FADING = 0.9  # of what was known, with each batch


@dataclass
class Tally:
    """What `BatcherStats` counts; guarded by the lock of whoever owns it."""

    accepted: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    images: int = 0
    batches: int = 0
    refused: dict[str, int] = field(default_factory=lambda: {"queue_full": 0, "deadline": 0, "closed": 0})
    _images: float = 0.0
    _seconds: float = 0.0

    def ran(self, images: int, seconds: float) -> None:
        """Take note of a batch, and of how long it kept the engine, waiting for it included."""
        self.batches += 1
        self._images = FADING * self._images + images
        self._seconds = FADING * self._seconds + seconds

    def stats(self, queued: int, running: int) -> BatcherStats:
        """All of it, and what is under way."""
        return BatcherStats(
            queued=queued,
            running=running,
            images_per_second=self._images / self._seconds if self._seconds else 0.0,
            accepted=self.accepted,
            completed=self.completed,
            failed=self.failed,
            cancelled=self.cancelled,
            refused=dict(self.refused),
            images=self.images,
            batches=self.batches,
        )
