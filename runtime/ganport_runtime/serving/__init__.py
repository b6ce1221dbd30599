"""Batched generation for many clients in one process: a library, no web server needed."""

from ganport_runtime.serving.answers import Answer, BatcherStats, BatchReport, DeadlineError, QueueFullError, Scores
from ganport_runtime.serving.batcher import Batcher, Scorer

__all__ = ["Answer", "BatchReport", "Batcher", "BatcherStats", "DeadlineError", "QueueFullError", "Scorer", "Scores"]
