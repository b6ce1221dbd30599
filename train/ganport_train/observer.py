"""The observer of a run. The trainer itself prints nothing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganport_train.config import TrainingConfig
from ganport_train.data import ImageSet


class Observer:
    """Called by the trainer. Its methods do nothing: subclass it and override some."""

    def started(self, config: TrainingConfig, images: ImageSet, step: int) -> None:
        """Training is about to go on from `step` (0: from the start) with the effective settings."""

    def stepped(self, record: Mapping[str, Any]) -> None:
        """The latest line of metrics.jsonl; about twice a second, not at every step."""

    def saved(self, checkpoint: Path, scores: Mapping[str, float]) -> None:
        """A checkpoint is whole on disk."""

    def noted(self, sentence: str) -> None:
        """A note for the user that is no error."""

    def should_stop(self) -> bool:
        """Asked after every step: whether to save a checkpoint and return now."""
        return False
