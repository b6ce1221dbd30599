"""What every scenario came to, and its part of the JSON document."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ganport_runtime import Plan

from ganport_bench.scenarios.answers import Check
from ganport_bench.scenarios.log import Log
from ganport_bench.scenarios.scenario import SERVER, Scenario

__all__ = ["DISCLAIMER", "Result", "Scenarios", "Search", "Trial"]

DISCLAIMER = "measured with MLCommons LoadGen; not an MLPerf result"


@dataclass(frozen=True)
class Trial:
    """One run of the Server scenario.

    Attributes:
        rate: target, queries a second.
        log: LoadGen's.
        logs: its folder, below that of all logs.
        is_confirmation: of full length, not a step of the search.
    """

    rate: float
    log: Log
    logs: str
    is_confirmation: bool

    def to_json(self) -> dict[str, Any]:
        """Its part of the document."""
        return {
            "target_queries_per_second": self.rate,
            "p99_ms": self.log.latency_ms("")["p99"],
            "keeps_bound": self.log.keeps_bound,
            "loadgen_says": self.log.word,
            "is_confirmation": self.is_confirmation,
            "logs": self.logs,
        }


@dataclass(frozen=True)
class Search:
    """How the Server scenario's rate was found.

    Attributes:
        bound: seconds within which 99 % of the answers are wanted.
        bound_how: where it comes from.
        how: the search, in words.
        trials: every run, in order; the last one counts.
    """

    bound: float
    bound_how: str
    how: str
    trials: Sequence[Trial]

    def to_json(self) -> dict[str, Any]:
        """Its part of the document."""
        return {
            "latency_bound_ms": 1e3 * self.bound,
            "latency_bound": self.bound_how,
            "how": self.how,
            "trials": [trial.to_json() for trial in self.trials],
        }


@dataclass(frozen=True)
class Result:
    """One scenario.

    Attributes:
        scenario: which.
        log: LoadGen's, of the run that counts.
        logs: the folder of that run's logs, below that of all logs.
        null_microseconds: of a query, of a sample in Offline, where the system makes nothing: LoadGen's own cost and
            that of the way to it.
        check: of its responses.
        plan: what ran.
        search: of the Server scenario.
    """

    scenario: Scenario
    log: Log
    logs: str
    null_microseconds: float
    check: Check
    plan: Plan
    search: Search | None = None

    @property
    def value(self) -> float | None:
        """The metric in its unit; None where no rate kept the latency bound."""
        if self.scenario is SERVER and not self.log.keeps_bound:
            return None
        return float(self.log.values[self.scenario.key]) * self.scenario.factor

    def to_json(self) -> dict[str, Any]:
        """Its part of the document."""
        difference = self.check.difference
        return {
            "scenario": self.scenario.name,
            "metric": self.scenario.metric,
            "value": self.value,
            "unit": self.scenario.unit,
            "loadgen_says": self.log.word,
            "reasons": self.log.reasons,
            "recommendation": str(self.log.values.get("result_invalid_reason", "")).strip(),
            "queries": self.log.values["result_query_count"],
            "samples": self.log.samples,
            "latency_ms": self.log.latency_ms(self.scenario.per_query),
            "null_microseconds": self.null_microseconds,
            "correct": self.check.correct if self.check.checked else None,
            "responses": {
                "checked": self.check.checked,
                "differing": self.check.differing,
                "difference": None if difference is None else asdict(difference),
            },
            "plan": str(self.plan),
            "precision": self.plan.precision,
            "errors": list(self.log.errors),
            "warnings": list(self.log.warnings),
            "settings": self.log.settings,
            "logs": self.logs,
            **({} if self.search is None else {"search": self.search.to_json()}),
        }


@dataclass(frozen=True)
class Scenarios:
    """All of them.

    Attributes:
        settings: that they share.
        results: one each.
    """

    settings: Mapping[str, Any]
    results: Sequence[Result]

    def to_json(self) -> dict[str, Any]:
        """Their part of the document."""
        return {"settings": dict(self.settings), "results": [result.to_json() for result in self.results]}
