"""LoadGen's own logs: what it was told, what it measured, and its word on the run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganport_bench.errors import BenchError

__all__ = ["Log"]

PREFIX = ":::MLLOG "
DETAIL = "mlperf_log_detail.txt"
ACCURACY = "mlperf_log_accuracy.json"
EFFECTIVE = "effective_"
PERCENTILES = {"p50": "50.00", "p90": "90.00", "p95": "95.00", "p97": "97.00", "p99": "99.00", "p99.9": "99.90"}
NANO_TO_MILLI = 1e-6


@dataclass(frozen=True)
class Log:
    """The detailed log of one run.

    Attributes:
        values: by LoadGen's keys.
        errors: that LoadGen logged, such as that it ended early.
        warnings: that it logged.
        responses: the seed and the bytes of every response that it kept.
    """

    values: Mapping[str, Any]
    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    responses: tuple[tuple[int, bytes], ...]

    @classmethod
    def read(cls, folder: Path) -> "Log":
        """Read what LoadGen left in a folder.

        Raises:
            BenchError: something is missing there or cannot be read.
        """
        try:
            lines = (folder / DETAIL).read_text("utf-8").splitlines()
            events = [json.loads(line.removeprefix(PREFIX)) for line in lines if line.startswith(PREFIX)]
            responses = json.loads((folder / ACCURACY).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise BenchError(f"{folder} holds no readable log of LoadGen: {error}") from error
        log = cls(
            {event["key"]: event["value"] for event in events},
            tuple(str(event["value"]) for event in events if event["metadata"]["is_error"]),
            tuple(str(event["value"]) for event in events if event["metadata"]["is_warning"]),
            tuple((response["qsl_idx"], bytes.fromhex(response["data"])) for response in responses),
        )
        if "result_validity" not in log.values:
            raise BenchError(f"{folder} holds no result of LoadGen; its errors: {'; '.join(log.errors) or 'none'}")
        return log

    @property
    def word(self) -> str:
        """VALID or INVALID, as LoadGen has it."""
        return str(self.values["result_validity"])

    @property
    def keeps_bound(self) -> bool:
        """Whether latencies are what was asked for; by LoadGen's early stopping too, unless no answer was late.

        Early stopping wants 459 queries for the 99th percentile even then, which a short run does not have.
        """
        is_sure = self.values["early_stopping_met"] or self.values.get("result_overlatency_query_count") == 0
        return bool(is_sure and self.values.get("result_perf_constraints_met", True))

    @property
    def samples(self) -> int:
        """Of all queries."""
        return int(self.values["result_query_count"] * self.values["effective_samples_per_query"])

    @property
    def reasons(self) -> list[str]:
        """Which of LoadGen's conditions are not met."""
        values = self.values
        minimum = values["effective_min_duration_ms"] / 1e3
        said = " ".join(values["early_stopping_result"].replace("*", " ").split())
        conditions = {
            "result_perf_constraints_met": "performance constraints: the latency bound is not kept",
            "result_min_duration_met": f"min duration: shorter than {minimum:g} s",
            "result_min_queries_met": f"min queries: fewer than {values['effective_min_query_count']:,}",
            "early_stopping_met": f"early stopping: {said}",
        }
        return [reason for key, reason in conditions.items() if not values.get(key, True)]

    @property
    def settings(self) -> dict[str, Any]:
        """What was in effect, by LoadGen's names."""
        return {key.removeprefix(EFFECTIVE): value for key, value in self.values.items() if key.startswith(EFFECTIVE)}

    def latency_ms(self, per_query: str) -> dict[str, float]:
        """Mean, extremes and percentiles; `per_query` as in `Scenario`."""
        found = {
            name: self.values[f"result_{number}_percentile_{per_query}latency_ns"]
            for name, number in PERCENTILES.items()
        }
        query = "query_" if per_query else ""
        found |= {name: self.values[f"result_{name}_{query}latency_ns"] for name in ("min", "mean", "max")}
        return {name: value * NANO_TO_MILLI for name, value in found.items()}
