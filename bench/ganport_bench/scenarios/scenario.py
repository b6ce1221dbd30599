"""The four scenarios, what each is judged by, and where LoadGen's log says it."""

from dataclasses import dataclass

from ganport_runtime.buckets import TOP

__all__ = ["MULTI_STREAM", "OFFLINE", "SERVER", "SINGLE_STREAM", "Scenario"]


@dataclass(frozen=True)
class Scenario:
    """A way to send queries.

    Attributes:
        name: LoadGen's.
        metric: what it is judged by.
        unit: of the metric.
        key: of the metric in LoadGen's detailed log.
        factor: from the log's unit to `unit`.
        batch: images of a call to the generator; where a batcher puts the batches together, of a query.
        per_query: what marks latencies of whole queries in the log, where they are not those of samples.
    """

    name: str
    metric: str
    unit: str
    key: str
    factor: float
    batch: int
    per_query: str = ""


# One image after another.
SINGLE_STREAM = Scenario(
    "SingleStream", "90th percentile latency", "ms", "result_90.00_percentile_latency_ns", 1e-6, batch=1
)
# Eight images at once, one query after another.
MULTI_STREAM = Scenario(
    "MultiStream",
    "99th percentile latency of 8 samples",
    "ms",
    "result_99.00_percentile_per_query_latency_ns",
    1e-6,
    batch=8,
    per_query="per_query_",
)
# One image a query, Poisson arrivals: the highest rate of which 99 % of the answers come within a bound.
SERVER = Scenario(
    "Server", "highest target rate within the latency bound", "queries/s", "effective_target_qps", 1.0, batch=1
)
# All images in one query.
OFFLINE = Scenario("Offline", "throughput", "samples/s", "result_samples_per_second", 1.0, batch=TOP)
