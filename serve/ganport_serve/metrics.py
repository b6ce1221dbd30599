"""What a server counts: Prometheus' metrics, the protocol's statistics, and figures of the last seconds."""

import math
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from threading import Lock

from ganport_runtime.batches import BUCKETS
from ganport_runtime.serving import BatchReport
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.process_collector import ProcessCollector

from ganport_serve.engine import Load

# seconds: from one image of a small network on a GPU to a queue of a thousand on a small CPU
SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
# Routes and methods that only watch the server: quick, and asked so often that they would hide the others' latency.
WATCHING = frozenset(
    {"/", "/docs", "/openapi.json", "/metrics", "/static/{name}", "/v1/status", "/v2", "/v2/health/live"}
    | {"/v2/health/ready", "ServerLive", "ServerReady", "ModelReady"}
)
ANSWERED = 400  # statuses below it are answers; refusals are fast and say nothing of latency
RATE_SECONDS = 5
LATENCY_SECONDS = 30
BINS_OF_E = 50.0  # bins of latency are 2 % wide, so that their middle is within 1 %


@dataclass
class ModelStatistics:
    """What the protocol's statistics say of the requests of one model since the server started.

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


class Metrics:
    """Counts from any thread; each server has its own registry.

    Attributes:
        recent: rates and latencies of the last seconds.
        models: the protocol's statistics by model; written on the event loop alone.
    """

    def __init__(self) -> None:
        self.recent = Recent()
        self.models = {name: ModelStatistics() for name in ("generator", "discriminator")}
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = self._counter("ganport_requests", "Requests answered.", "protocol", "route", "status")
        self._seconds = self._histogram("ganport_request_seconds", "From request to answer.", "protocol", "route")
        self._images = self._counter("ganport_images", "Images made for clients.")
        self._refusals = self._counter("ganport_refusals", "Requests refused.", "reason")
        self._batches = self._histogram("ganport_batch_images", "Images of one run.", "role", buckets=BUCKETS)
        self._padding = self._counter("ganport_padding_images", "Rows that filled batches up to a bucket.", "role")
        self._failed = self._counter("ganport_failed_batches", "Runs in which the engine failed.", "role")
        self._queue = self._histogram("ganport_queue_seconds", "A request's time in the queue.", "role")
        self._latents = self._histogram("ganport_latents_seconds", "Making one batch's latents.", "role")
        self._engine = self._histogram("ganport_engine_seconds", "One run of the engine.", "role")
        self._encoding = self._histogram("ganport_encoding_seconds", "Encoding one answer's images.", "format")
        self._plan = Info("ganport_plan", "The plan in use.", ["role"], registry=registry)
        self._queued = Gauge("ganport_queue_images", "Images that wait.", registry=registry)
        self._running = Gauge("ganport_running_images", "Images in the engine.", registry=registry)
        self._log_lost = self._counter("ganport_log_events_lost", "Log events dropped because stderr is not read.")
        # finding a child by its labels takes longer than counting
        self._of_route: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._of_format: dict[str, Histogram] = {}
        self.image_count = self.refused_count = 0  # since the start
        self._lock = Lock()  # adding is not one step, and engines count from threads of their own

    def request(self, protocol: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered.

        Args:
            protocol: `http` or `grpc`.
            route: the route's template, never a client's own path.
            status: of HTTP, or the one that stands for a gRPC code.
            seconds: from its headers to the last byte of its answer.
        """
        key = (protocol, route, status)
        found = self._of_route.get(key)
        if found is None:
            counter = self._requests.labels(protocol, route, str(int(status)))
            found = self._of_route[key] = (counter, self._seconds.labels(protocol, route))
        found[0].inc()
        found[1].observe(seconds)
        if status < ANSWERED and route not in WATCHING:
            self.recent.latency(seconds)

    def refused(self, reason: str) -> None:
        """Count a refusal by its reason, a key of `ganport_serve.refusals.REASONS`."""
        with self._lock:
            self.refused_count += 1
        self._refusals.labels(reason).inc()

    def batch(self, role: str, report: BatchReport) -> None:
        """Count one run of an engine; the generator's images that somebody asked for among the images."""
        if report.failed:
            self._failed.labels(role).inc()
        elif role == "generator":
            self.images(report.images)
        self._batches.labels(role).observe(report.images)
        self._padding.labels(role).inc(report.bucket - report.images)
        queue = self._queue.labels(role)
        for seconds in report.queue_seconds:
            queue.observe(seconds)
        self._latents.labels(role).observe(report.latents_seconds)
        self._engine.labels(role).observe(report.engine_seconds)

    def encoded(self, image_format: str, seconds: float) -> None:
        """Count the encoding of one answer: `png`, `webp`, `npy`, `zip`, `json`, `binary`."""
        child = self._of_format.get(image_format)
        if child is None:
            child = self._of_format[image_format] = self._encoding.labels(image_format)
        child.observe(seconds)

    def images(self, count: int) -> None:
        """Count images that were made; called by engines, by those of this process through `batch`."""
        self._images.inc(count)
        with self._lock:
            self.image_count += count
        self.recent.images(count)

    def plan(self, role: str, text: str | None) -> None:
        """Note the plan in use; None where the role is not served."""
        if text is not None:
            self._plan.labels(role).info({"plan": text})
        else:
            self._plan.remove(role)

    def watch(self, load: Callable[[], Load]) -> None:
        """Ask the engine how busy it is whenever somebody looks."""
        self._queued.set_function(lambda: load().queued)
        self._running.set_function(lambda: load().running)

    def log_events_lost(self, count: int) -> None:
        """Count events that the log dropped."""
        self._log_lost.inc(count)

    def durations(self, role: str) -> Mapping[str, tuple[float, float]]:
        """Count and seconds of `queue`, `latents`, `engine` and `batch_images` of a role."""
        named = {"queue": self._queue, "latents": self._latents, "engine": self._engine, "batch_images": self._batches}
        return {name: _count_and_sum(histogram, role) for name, histogram in named.items()}

    def text(self) -> bytes:
        """Prometheus' text format, version 0.0.4."""
        return generate_latest(self._registry)

    def _counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(name, documentation, labels, registry=self._registry)

    def _histogram(self, name: str, documentation: str, *labels: str, buckets: Iterable[float] = SECONDS) -> Histogram:
        return Histogram(name, documentation, labels, buckets=tuple(buckets), registry=self._registry)


def _count_and_sum(histogram: Histogram, role: str) -> tuple[float, float]:
    found = {
        sample.name.rpartition("_")[2]: sample.value
        for metric in histogram.collect()
        for sample in metric.samples
        if sample.labels.get("role") == role
    }
    return found.get("count", 0.0), found.get("sum", 0.0)


@dataclass
class _Second:
    number: int = -1
    images: int = 0
    latencies: Tally[int] = field(default_factory=Tally)


class Recent:
    """One slot for each second of the last half minute; written from any thread.

    Args:
        clock: seconds since whenever.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun = clock()
        self._slots = [_Second() for _ in range(LATENCY_SECONDS + 1)]
        self._lock = Lock()

    def images(self, count: int) -> None:
        """Note that so many images were made."""
        with self._lock:
            self._slot(int(self._clock())).images += count

    def latency(self, seconds: float) -> None:
        """Note how long one request took."""
        with self._lock:
            slot = self._slot(int(self._clock()))
            slot.latencies[math.floor(math.log(max(seconds, 1e-6)) * BINS_OF_E)] += 1

    def images_per_second(self) -> float:
        """Images of the last five whole seconds, or of as many as there were yet, by second."""
        now = int(self._clock())
        seconds = min(RATE_SECONDS, max(1, now - int(self._begun)))
        with self._lock:
            images = sum(slot.images for slot in self._slots if now - seconds <= slot.number < now)
        return images / seconds

    def percentiles(self, *shares: float) -> list[float] | None:
        """Latencies in seconds below which these shares of the last 30 s lie; None where nothing was asked."""
        merged = self._merged()
        total = sum(merged.values())
        return [_below(merged, share * total) for share in shares] if total else None

    def _merged(self) -> Tally[int]:
        now = int(self._clock())
        merged: Tally[int] = Tally()
        with self._lock:
            for slot in self._slots:
                if now - LATENCY_SECONDS <= slot.number:
                    merged.update(slot.latencies)
        return merged

    def _slot(self, number: int) -> _Second:
        """The slot of a second; a later one where that second is long over."""
        slot = self._slots[number % len(self._slots)]
        if slot.number < number:
            slot.number, slot.images = number, 0
            slot.latencies.clear()
        return slot


def _below(latencies: Tally[int], rank: float) -> float:
    """The middle of the bin in which the value of this rank lies."""
    so_far = 0
    for index in sorted(latencies):
        so_far += latencies[index]
        if so_far >= rank:
            break
    return math.exp((index + 0.5) / BINS_OF_E)
