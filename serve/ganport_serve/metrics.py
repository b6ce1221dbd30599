"""What a server counts, for Prometheus and for people: requests, images, refusals, batches and where time goes."""

from collections.abc import Callable, Sequence
from threading import Lock

from ganport_runtime.buckets import BUCKETS
from ganport_runtime.serving import BatchReport
from prometheus_client import CollectorRegistry, Counter, Gauge, Info, generate_latest
from prometheus_client.process_collector import ProcessCollector

from ganport_serve.answers import Answers
from ganport_serve.distributions import Distributions
from ganport_serve.engine import Load
from ganport_serve.recent import Recent

__all__ = ["Metrics"]

# from one image of a small network on a GPU to a queue of a thousand on a small CPU
SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
WATCHING = frozenset(
    {  # routes that say how the server is: quick, and asked so often that they would hide the others
        "/",
        "/docs",
        "/openapi.json",
        "/metrics",
        "/static/{name}",
        "/v1/status",
        "/v2",
        "/v2/health/live",
        "/v2/health/ready",
        "ServerLive",
        "ServerReady",
        "ModelReady",
    }
)
ANSWERED = 400  # statuses below are answers, those from here on refusals, which are fast and say nothing of latency


class Metrics:
    """Counts from any thread; each server has its own registry.

    Attributes:
        recent: rates and latencies of the last seconds.
    """

    def __init__(self) -> None:
        self.recent = Recent()
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._answers = Answers(SECONDS)
        self._registry.register(self._answers)
        self._images = self._counter("ganport_images", "Images made for clients.")
        self._refusals = self._counter("ganport_refusals", "Requests refused.", "reason")
        self._batches = self._distributions("ganport_batch_images", "Images of one run.", BUCKETS, "role")
        self._padding = self._counter("ganport_padding_images", "Rows that filled batches up to a bucket.", "role")
        self._failed = self._counter("ganport_failed_batches", "Runs in which the engine failed.", "role")
        self._queue = self._seconds("ganport_queue_seconds", "A request's time in the queue.", "role")
        self._latents = self._seconds("ganport_latents_seconds", "Making one batch's latents.", "role")
        self._engine = self._seconds("ganport_engine_seconds", "One run of the engine.", "role")
        self._encoding = self._seconds("ganport_encoding_seconds", "Encoding one answer's images.", "format")
        self._plan = Info("ganport_plan", "The plan in use.", ["role"], registry=self._registry)
        self._queued = Gauge("ganport_queue_images", "Images that wait.", registry=self._registry)
        self._running = Gauge("ganport_running_images", "Images in the engine.", registry=self._registry)
        # to look a child up by its labels takes longer than to count
        self._reasons: dict[str, Counter] = {}
        self._image_count = self._refused_count = 0
        self._lock = Lock()  # adding is no single step, and engines count from threads of their own

    def request(self, protocol: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered.

        Args:
            protocol: `http` or `grpc`.
            route: the route's template, never a client's own path.
            status: of HTTP, or the one that stands for a gRPC code.
            seconds: from its headers to the last byte of its answer.
        """
        self._answers.add(protocol, route, status, seconds)
        if status < ANSWERED and route not in WATCHING:
            self.recent.latency(seconds)

    def refused(self, reason: str) -> None:
        """Count a refusal; both protocols name their reasons by `ganport_serve.reasons`."""
        with self._lock:
            self._refused_count += 1
        child = self._reasons.get(reason)
        if child is None:
            child = self._reasons[reason] = self._refusals.labels(reason)
        child.inc()

    def batch(self, role: str, report: BatchReport) -> None:
        """Count one run of an engine; the generator's images that somebody asked for among the images."""
        if report.failed:
            self._failed.labels(role).inc()
        elif role == "generator":
            self.images(report.images)
        self._batches.labels(role).observe(report.images)
        self._padding.labels(role).inc(report.bucket - report.images)
        self._queue.labels(role).observe_all(report.queue_seconds)
        self._latents.labels(role).observe(report.latents_seconds)
        self._engine.labels(role).observe(report.engine_seconds)

    def encoded(self, image_format: str, seconds: float) -> None:
        """Count the encoding of one answer: `png`, `webp`, `npy`, `zip`, `json`, `binary`."""
        self._encoding.labels(image_format).observe(seconds)

    def images(self, count: int) -> None:
        """Count images that were made; called by engines, by those of this process through `batch`."""
        self._images.inc(count)
        with self._lock:
            self._image_count += count
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

    @property
    def image_count(self) -> int:
        """Images made so far."""
        return self._image_count

    @property
    def refused_count(self) -> int:
        """Requests refused so far."""
        return self._refused_count

    def text(self) -> bytes:
        """Prometheus' text format, version 0.0.4."""
        return generate_latest(self._registry)

    def _counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(name, documentation, labels, registry=self._registry)

    def _seconds(self, name: str, documentation: str, *labels: str) -> Distributions:
        return self._distributions(name, documentation, SECONDS, *labels)

    def _distributions(self, name: str, documentation: str, bounds: Sequence[float], *labels: str) -> Distributions:
        made = Distributions(name, documentation, bounds, labels)
        self._registry.register(made)
        return made
