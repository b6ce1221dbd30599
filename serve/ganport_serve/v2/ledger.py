"""Counts each model's requests, for the protocol's statistics."""

import time
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from ganport_serve.metrics import Metrics

__all__ = ["Record", "record_of"]


@dataclass(slots=True)
class Record:
    """The requests of one model since the server started.

    Attributes:
        successes: requests answered.
        success_ns: nanoseconds that they took, all together.
        failures: requests refused or failed.
        failure_ns: nanoseconds that they took, all together.
        rows: images made or examined for those answered.
        last_ms: when the last one was answered, in milliseconds since 1970; 0: none yet.
    """

    successes: int = 0
    success_ns: int = 0
    failures: int = 0
    failure_ns: int = 0
    rows: int = 0
    last_ms: int = 0

    def succeeded(self, rows: int, nanoseconds: int) -> None:
        """Count an answer."""
        self.successes += 1
        self.success_ns += nanoseconds
        self.rows += rows
        self.last_ms = time.time_ns() // 1_000_000

    def failed(self, nanoseconds: int) -> None:
        """Count a refusal or failure."""
        self.failures += 1
        self.failure_ns += nanoseconds


# a service is a frozen value that has no room for counts; its metrics live as long as it does
_records: WeakKeyDictionary[Metrics, dict[str, Record]] = WeakKeyDictionary()


def record_of(metrics: Metrics, model: str) -> Record:
    """The counts of one model of the server whose metrics these are."""
    records = _records.get(metrics)
    if records is None:
        records = _records[metrics] = {}
    record = records.get(model)
    if record is None:
        record = records[model] = Record()
    return record
