"""Everyone who is measured around one plan, started and waiting: servers, the generator alone, the client's process."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ganport_bench.client.grpc import grpc_loop
from ganport_bench.client.loops import closed_loop
from ganport_bench.client.outcome import CHECKED, OK, GoldenImages, Outcome
from ganport_bench.client.processes import Worker
from ganport_bench.command import OnStep
from ganport_bench.errors import BenchError
from ganport_bench.serving.effort import CLIENTS
from ganport_bench.serving.offline import Offline
from ganport_bench.serving.systems import GRPC, Running, ServedSystem, name_of
from ganport_bench.serving.usage import awake, resume, suspend, yield_to_others

__all__ = ["Stage", "set_stage"]

GRPC_SECONDS = 0.3


@dataclass(frozen=True)
class Stage:
    """Processes that take turns; each is suspended until it is its turn.

    Attributes:
        precision: that was asked for.
        offline: the generator without a server.
        expected: what every answer is compared with.
        client: where the load is made.
        running: servers by name.
        missing: who could not be started, and why.
    """

    precision: str
    offline: Offline
    expected: GoldenImages
    client: Worker
    running: Mapping[str, Running]
    missing: Mapping[str, str]


@contextmanager
def set_stage(
    bundle: Path, precision: str, systems: Sequence[ServedSystem], known: int, on_step: OnStep
) -> Iterator[Stage]:
    """Start everyone around a bundle's generator; the first system must start, others may be missing.

    Args:
        bundle: whose generator is served.
        precision: asked for; `auto`: the fastest plan known.
        systems: ganport's server first.
        known: seeds whose images are compared.
        on_step: called with a few words before each step.

    Raises:
        BenchError: ganport's own server does not start, or makes images by another plan than the generator alone.
    """
    running: dict[str, Running] = {}
    missing: dict[str, str] = {}
    with ExitStack() as stack:
        on_step(f"{precision}: the generator without a server")
        offline = stack.enter_context(Offline(bundle, precision))
        client = stack.enter_context(Worker("the load generator"))
        expected = offline.expected(known)
        for system in systems:
            on_step(f"{precision}: starting {system.name}")
            try:
                one = _started(system, bundle, precision, stack)
                _try_out(client, one, expected)
            except BenchError as error:
                if system is systems[0]:
                    raise
                missing[system.name] = str(error)
                continue
            fault = _grpc_fault(client, one, expected)
            if fault is not None:
                missing[name_of(system.name, GRPC)] = fault
                one = replace(one, grpc=None)
            running[system.name] = one
        yield Stage(precision, offline, expected, client, running, missing)


def _try_out(client: Worker, running: Running, expected: GoldenImages) -> None:
    """One answer for each image that is known; a server that makes others is no peer."""
    requests = CHECKED * len(expected.images)
    with awake(running.pid):
        _must_be_right(client(closed_loop, running.endpoint, expected, clients=CLIENTS, requests=requests))


def _grpc_fault(client: Worker, running: Running, expected: GoldenImages) -> str | None:
    if running.grpc is None:
        return None
    try:
        with awake(running.pid):
            _must_be_right(client(grpc_loop, running.grpc, expected, clients=CLIENTS, seconds=GRPC_SECONDS))
    except BenchError as error:
        return str(error)
    return None


def _must_be_right(outcome: Outcome) -> None:
    refused = {status: count for status, count in outcome.statuses().items() if status != OK}
    if refused or not outcome.is_right:
        reasons = [f"{count:,} x status {status}" for status, count in refused.items()]
        raise BenchError(f"it does not answer rightly: {'; '.join([*reasons, outcome.faults()]).strip('; ')}")


def _started(system: ServedSystem, bundle: Path, precision: str, stack: ExitStack) -> Running:
    reason = system.refusal()
    if reason is not None:
        raise BenchError(reason)
    running = stack.enter_context(system.start(bundle, precision))
    yield_to_others(running.pid)
    suspend(running.pid)
    stack.callback(resume, running.pid)  # what sleeps cannot be told to stop
    return running
