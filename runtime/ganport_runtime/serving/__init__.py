"""Batched generation for many clients in one process: a library, no web server needed."""

from ganport_runtime.serving.answer import Answer
from ganport_runtime.serving.batcher import Batcher, Scorer
from ganport_runtime.serving.errors import DeadlineError, QueueFullError
from ganport_runtime.serving.reports import BatcherStats, BatchReport, Scores

__all__ = [
    "Answer",
    "BatchReport",
    "Batcher",
    "BatcherStats",
    "DeadlineError",
    "QueueFullError",
    "Scorer",
    "Scores",
]
