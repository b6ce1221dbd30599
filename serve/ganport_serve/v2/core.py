"""From decoded tensors to the engine and back: what HTTP and gRPC have in common."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ganport_runtime import InputError
from ganport_runtime.text import shown
from numpy.typing import NDArray

from ganport_serve.problems import ProblemError, bad_field
from ganport_serve.service import Service
from ganport_serve.v2.ledger import record_of
from ganport_serve.v2.models import Declared, Model

__all__ = ["Images", "InferenceCall", "Tensors", "images_asked", "latents_given", "misfit", "run", "seconds_of"]

Tensors = Mapping[str, NDArray[Any]]
_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class InferenceCall:
    """What a request asks of a model, beside its numbers.

    Attributes:
        model: that is asked; it has admitted the tensors.
        declared: every input.
        timeout: seconds within which the answer is wanted; None: as long as the server allows.
    """

    model: Model
    declared: Sequence[Declared]
    timeout: float | None

    def field(self, name: str) -> str:
        """Where an input stands in the request."""
        return next((tensor.field for tensor in self.declared if tensor.name == name), "inputs")

    def within(self, limit: float) -> float:
        """Seconds within which the answer is wanted, of those that the server allows."""
        return limit if self.timeout is None else min(limit, self.timeout)


async def run(service: Service, call: InferenceCall, tensors: Tensors) -> Tensors:
    """Every output of the model for these inputs, counted in the protocol's statistics.

    Args:
        service: that answers.
        call: what is asked; a request's own timeout counts where it is shorter than the server's.
        tensors: each input that `call` declares, of the dtype and shape declared.

    Raises:
        ProblemError: numbers are out of range, with the field.
        Exception: whatever the engine raises.
    """
    record = record_of(service.metrics, call.model.name)
    begin = time.perf_counter_ns()
    try:
        outputs = await _outputs(service, call, tensors)
    except BaseException:
        record.failed(time.perf_counter_ns() - begin)
        raise
    rows = len(next(iter(outputs.values())))
    record.succeeded(rows, time.perf_counter_ns() - begin)
    return outputs


def seconds_of(value: object, field: str) -> float | None:
    """The parameter `timeout`, in microseconds as Triton has it, in seconds; None where it asks for nothing.

    Raises:
        ProblemError: it is no whole number of 0 or more.
    """
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**64:
        raise bad_field(field, f"timeout is {shown(value)}, wanted a whole number of microseconds, 0 for none")
    return value / _MICROSECONDS or None


@dataclass(frozen=True, slots=True)
class Images:
    """Which images a request asks for, by seed."""

    count: int
    seed: int
    start: int


def images_asked(service: Service, call: InferenceCall, tensors: Tensors) -> Images:
    """What a request with the input `seed` asks for.

    Raises:
        ProblemError: a number is out of range, with the field.
    """
    numbers = {name: int(array[0]) for name, array in tensors.items()}
    count = numbers.get("count", 1)
    _check_count(service, call, "count", "data", count)
    for name, number in numbers.items():
        if number < 0:
            raise bad_field(f"{call.field(name)}.data", f"{name} is {number}, wanted 0 to 2^64 - 1")
    return Images(count, numbers["seed"], numbers.get("start", 0))


def latents_given(service: Service, call: InferenceCall, tensors: Tensors) -> NDArray[np.float32]:
    """What a request with the input `z` gives.

    Raises:
        ProblemError: there are too many rows, with the field.
    """
    _check_count(service, call, "z", "shape", len(tensors["z"]))
    return tensors["z"]


async def _outputs(service: Service, call: InferenceCall, tensors: Tensors) -> Tensors:
    engine, timeout = service.engine, call.within(service.settings.request_timeout)
    try:
        if "seed" in tensors:
            asked = images_asked(service, call, tensors)
            return {"image": await engine.sample(asked.count, seed=asked.seed, start=asked.start, timeout=timeout)}
        if "z" in tensors:
            return {"image": await engine.generate(latents_given(service, call, tensors), timeout=timeout)}
        _check_count(service, call, "image", "shape", len(tensors["image"]))
        scores = await engine.examine(tensors["image"], timeout=timeout)
    except InputError as error:
        raise misfit(call, error) from None
    return {"logit": scores.logits, "features": scores.features}


def misfit(call: InferenceCall, error: InputError) -> ProblemError:
    """The problem of numbers that the runtime refuses, with the field that holds them."""
    first = call.declared[0]
    is_alone = len(call.declared) == 1 and first.name != "seed"
    return bad_field(f"{first.field}.data" if is_alone else "inputs", str(error))


def _check_count(service: Service, call: InferenceCall, name: str, member: str, count: int) -> None:
    limit = service.settings.max_count
    if not 1 <= count <= limit:
        what = f"count is {count}" if name == "count" else f"{name} has {count} rows"
        raise bad_field(f"{call.field(name)}.{member}", f"{what}, wanted 1 to {limit} in one request")
