"""A training run on the terminal: settings once, a progress bar with the figures, a clean stop at Ctrl-C."""

import signal
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any, Self

from ganport_train.config import TrainingConfig
from ganport_train.data import ImageSet
from ganport_train.observer import Observer
from rich.progress import Progress, TaskID

from ganport_cli.terminal import console, progress

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class TrainingProgress(Observer):
    """Shows a run on stderr; the first SIGINT or SIGTERM lets the step end and a checkpoint be saved."""

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._signal = 0
        self._former: dict[int, Any] = {}

    @property
    def exit_code(self) -> int:
        """What shells expect after the signal that stopped the run: 128 plus its number."""
        return 128 + self._signal

    def __enter__(self) -> Self:
        """Take the signals over."""
        self._former = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        """End the bar and give the signals back."""
        if self._bar is not None:
            self._bar.stop()
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def started(self, config: TrainingConfig, images: ImageSet, step: int) -> None:
        """Print the effective settings and start the bar."""
        self.show_settings(config)
        self.say(f"{len(images)} images; from step {step} to {config.steps}")
        if step < config.steps:
            self._bar = progress("steps")
            self._task = self._bar.add_task("training", total=config.steps, completed=step, note="")
            self._bar.start()

    def stepped(self, record: Mapping[str, Any]) -> None:
        """Move the bar."""
        if self._bar is not None and self._task is not None:
            note = (
                f"loss D {record['loss_discriminator']:.3f} G {record['loss_generator']:.3f}  "
                f"D(real) {record['logit_real']:+.2f} D(fake) {record['logit_fake']:+.2f}  "
                f"{record['images_per_second']:.0f} images/s"
            )
            self._bar.update(self._task, completed=record["step"], note=note)

    def saved(self, checkpoint: Path, scores: Mapping[str, float]) -> None:
        """One line a checkpoint."""
        figures = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in scores.items())
        self.say(f"{checkpoint.name} saved: {figures}")

    def noted(self, sentence: str) -> None:
        """One line a note."""
        self.say(f"Note: {sentence}")

    def should_stop(self) -> bool:
        """Whether a signal has come."""
        return self._signal != 0

    def show_settings(self, config: TrainingConfig) -> None:
        """The effective settings, one a line."""
        lines = [f"  {name:24} {value}" for name, value in config.to_json().items()]
        self.say("\n".join(["Settings", *lines]))

    def say(self, line: str) -> None:
        """A line of text, above the bar where there is one."""
        (self._bar.console if self._bar is not None else console()).print(line, markup=False, soft_wrap=True)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._bar is None or self._signal:  # nothing to save yet, or asked twice
            raise KeyboardInterrupt
        self._signal = number
        self.say("stopping after this step; once more to stop at once, without saving")
