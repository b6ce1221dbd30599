"""Who watches a run: the trainer prints nothing, it tells an observer."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganport_train.config import TrainingConfig
from ganport_train.data import ImageSet


class Observer:
    """Hears of everything and does nothing; subclass and override what matters."""

    def started(self, config: TrainingConfig, images: ImageSet, step: int) -> None:
        """Training is about to go on from `step` (0: from the start) with the effective settings."""

    def stepped(self, record: Mapping[str, Any]) -> None:
        """The latest line of metrics.jsonl; about twice a second, not at every step."""

    def saved(self, checkpoint: Path, scores: Mapping[str, float]) -> None:
        """A checkpoint is whole on disk."""

    def noted(self, sentence: str) -> None:
        """Something that people should know and that stops nothing."""

    def should_stop(self) -> bool:
        """Asked after every step: whether to save a checkpoint and return now."""
        return False
