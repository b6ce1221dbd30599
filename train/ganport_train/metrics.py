"""metrics.jsonl: one line a step, and the same figures as TensorBoard events where its library is installed."""

import json
import math
import os
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from ganport_runtime import atomic
from torch import Tensor

from ganport_train.errors import CheckpointError, DivergedError
from ganport_train.step import FIGURES

FLUSH_SECONDS = 0.5
# The fields of a line that differ between two equal runs.
TIME_FIELDS = ("images_per_second", "seconds")


class MetricsLog:
    """Collects the figures of steps as tensors and writes them a few times a second, so that no step waits.

    A line is `{"step", *FIGURES, "images_per_second", "seconds"}`; an evaluation adds `{"step", "frechet_distance"}`.
    """

    def __init__(self, run: Path, step: int, batch_size: int) -> None:
        """Go on after `step`, dropping lines of later steps."""
        _truncate(run / "metrics.jsonl", step)
        self._file = (run / "metrics.jsonl").open("a")
        self._events = _open_events(run / "tensorboard", step)
        self.has_events = self._events is not None
        self._pending: list[Tensor] = []
        self._step, self._batch_size = step, batch_size
        self._since = time.perf_counter()

    def is_due(self) -> bool:
        """Whether figures have waited long enough to be written."""
        return time.perf_counter() - self._since >= FLUSH_SECONDS

    def add(self, figures: Tensor) -> None:
        """The figures of the next step, float [5]."""
        self._pending.append(figures)

    def restart_clock(self) -> None:
        """Leave samples and checkpoints out of the steps' speed."""
        self._since = time.perf_counter()

    def flush(self) -> dict[str, Any]:
        """Write what is pending, one line a step, and return the last; NaN or infinity raises `DivergedError`."""
        seconds = (time.perf_counter() - self._since) / max(len(self._pending), 1)
        speed = {"images_per_second": round(self._batch_size / max(seconds, 1e-9), 2), "seconds": round(seconds, 6)}
        record: dict[str, Any] = {}
        rows, self._pending = torch.stack(self._pending).tolist(), []
        for row in rows:
            self._step += 1
            record = {"step": self._step, **dict(zip(FIGURES, row, strict=True)), **speed}
            if bad := [name for name in FIGURES if not math.isfinite(record[name])]:
                raise DivergedError(f"{bad[0]} is {record[bad[0]]} at step {self._step}")
            self.write(record)
        self._file.flush()
        self._since = time.perf_counter()
        return record

    def write(self, record: Mapping[str, Any]) -> None:
        """One more line; NaN and infinities raise `ValueError`."""
        self._file.write(json.dumps(record, allow_nan=False) + "\n")
        if self._events is not None:
            for name, value in record.items():
                if name != "step":
                    self._events.add_scalar(name, value, record["step"])

    def sync(self) -> None:
        """Bring every written line to the disk, before a checkpoint relies on it."""
        self._file.flush()
        os.fsync(self._file.fileno())
        if self._events is not None:
            self._events.flush()

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        if self._events is not None:
            self._events.close()


def _open_events(folder: Path, step: int) -> Any:
    """TensorBoard's writer, without events after `step`; None where `tensorboard` is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside TensorBoard
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ModuleNotFoundError:
            return None
        return SummaryWriter(str(folder), purge_step=step + 1)


def _truncate(path: Path, step: int) -> None:
    """Keep the lines of `path` up to `step`: what a killed run wrote after its last checkpoint is trained again."""
    kept = []
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True) if path.exists() else [], start=1):
        if not line.endswith(b"\n"):
            break  # a killed process was writing it
        try:
            line_step = json.loads(line)["step"]
        except (ValueError, KeyError, TypeError):
            raise CheckpointError(f"{path}: line {number} is damaged: restore the file, or move it away") from None
        if line_step > step:
            break
        kept.append(line)
    atomic.write_bytes(path, b"".join(kept))
