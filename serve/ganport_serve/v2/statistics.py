"""The protocol's statistics extension: requests from the ledger, batches from the server's metrics."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from ganport_serve.service import Service
from ganport_serve.v2.ledger import record_of
from ganport_serve.v2.models import VERSION, Model

__all__ = ["statistics"]

_DURATIONS = {
    "queue": "ganport_queue_seconds",
    "compute_input": "ganport_latents_seconds",
    "compute_infer": "ganport_engine_seconds",
}
_UNUSED = ("compute_output", "cache_hit", "cache_miss")  # there is no cache, and encoding is not counted by model


def statistics(service: Service, models: Iterable[Model]) -> dict[str, Any]:
    """What was done since the server started.

    `success` and `fail` count requests of this protocol; `queue` counts every request's time in the queue, and
    `compute_input` (latents) and `compute_infer` (engine) count batches, so that each mean is ns / count.
    """
    samples = _samples(service)
    return {"model_stats": [_of(service, model.name, samples[model.name]) for model in models]}


def _of(service: Service, name: str, samples: Mapping[str, float]) -> dict[str, Any]:
    record = record_of(service.metrics, name)
    durations = {
        key: _duration(samples.get(f"{metric}_count", 0), samples.get(f"{metric}_sum", 0) * 1e9)
        for key, metric in _DURATIONS.items()
    }
    return {
        "name": name,
        "version": VERSION,
        "last_inference": record.last_ms,
        "inference_count": record.rows,
        "execution_count": int(samples.get("ganport_batch_images_count", 0)),
        "inference_stats": {
            "success": _duration(record.successes, record.success_ns),
            "fail": _duration(record.failures, record.failure_ns),
            **durations,
            **dict.fromkeys(_UNUSED, _duration(0, 0)),
        },
        "batch_stats": [],
    }


def _samples(service: Service) -> Mapping[str, dict[str, float]]:
    """For each role the samples of the metrics by name."""
    found: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for family in text_string_to_metric_families(service.metrics.text().decode()):
        for sample in family.samples:
            found[sample.labels.get("role", "")][sample.name] = sample.value
    return found


def _duration(count: float, nanoseconds: float) -> dict[str, int]:
    return {"count": round(count), "ns": round(nanoseconds)}
