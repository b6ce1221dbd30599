"""A fake server that describes itself as the Open Inference Protocol wants it, and counts its own seconds."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ganport_bench.effort import QUICK, Effort
from ganport_bench.load import LoadFindings, LoadTarget, measure, target_of
from ganport_bench.load.knee import RateRow
from ganport_bench.load.sweep import ConcurrencyRow

from tests.bench.client.fake_server import Fake

SEED = [{"name": "z", "datatype": "FP32", "shape": [-1, 8]}, {"name": "seed", "datatype": "UINT64", "shape": [1]}]
SHORT = replace(
    QUICK,
    levels=(1, 4),
    window_seconds=0.1,
    most_windows=8,
    fractions=(0.3,),
    rate_seconds=0.4,
    samples=20,
    most_rate_seconds=1.0,
    lead_seconds=0.1,
    beyond=1,
)


def described(
    inputs: Sequence[Any] = SEED, *, model: str = "generator", extensions: Sequence[str] = ("binary_tensor_data",)
) -> dict[str, Callable[[], object]]:
    """The documents of a server of one model, without statistics."""
    server = {"name": "fake", "version": "1.0", "extensions": list(extensions)}
    image = {"name": "image", "datatype": "UINT8", "shape": [-1, 4, 4, 3]}
    metadata = {"name": model, "inputs": list(inputs), "outputs": [image]}
    return {"/v2": lambda: server, f"/v2/models/{model}": lambda: metadata}


def statistics(fake: Fake, **microseconds: int) -> dict[str, Callable[[], object]]:
    """The document of a server that spends so many microseconds in each stage on each request."""

    def document() -> object:
        count = len(fake.seeds)
        stages = {name: {"count": count, "ns": 1000 * count * each} for name, each in microseconds.items()}
        return {"model_stats": [{"name": "generator", "version": "1", "inference_stats": stages}]}

    return {"/v2/models/generator/stats": document}


def url_of(fake: Fake) -> str:
    """Where it listens."""
    return f"http://127.0.0.1:{fake.endpoint.port}"


def measured(target: LoadTarget | Fake, effort: Effort = SHORT) -> LoadFindings:
    """What is found, without a word."""
    chosen = target_of(url_of(target)) if isinstance(target, Fake) else target
    return measure(chosen, effort, lambda _: None)


def rows_of(load: LoadFindings) -> list[ConcurrencyRow | RateRow]:
    """Of both loops."""
    return [*load.concurrency, *load.rates]
