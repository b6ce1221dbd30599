"""One run of the benchmark from end to end: what is given, everyone around each plan, the promises."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from ganport_serve.settings import Settings

from ganport_bench.command import OnStep
from ganport_bench.machine import Watch
from ganport_bench.serving.concurrency import Concurrency, measure_concurrency
from ganport_bench.serving.effort import CLIENTS, Effort
from ganport_bench.serving.ganport_server import GanportServer
from ganport_bench.serving.litserve_peer import LitServePeer
from ganport_bench.serving.memory import Memory, measure_memory
from ganport_bench.serving.overload import Overload, measure_overload
from ganport_bench.serving.results import Results
from ganport_bench.serving.single import Single, measure_single
from ganport_bench.serving.stage import Stage, set_stage
from ganport_bench.serving.subject import Subject
from ganport_bench.serving.systems import ServedSystem
from ganport_bench.serving.targets import promises_of
from ganport_bench.serving.triton_peer import TritonPeer

__all__ = ["SCENARIOS", "measure"]

SCENARIOS = ("clients", "one", "overload", "memory")


@dataclass
class _Found:
    concurrencies: list[Concurrency] = field(default_factory=list)
    singles: list[Single] = field(default_factory=list)
    overloads: list[Overload] = field(default_factory=list)
    memories: list[Memory] = field(default_factory=list)


def measure(
    subject: Subject,
    effort: Effort,
    on_step: OnStep,
    *,
    scenarios: Collection[str] = SCENARIOS,
    peers: Sequence[ServedSystem] | None = None,
    plans: Sequence[str] | None = None,
    watch: Watch | None = None,
    is_quick: bool = False,
) -> Results:
    """Measure the scenarios around each plan.

    Args:
        subject: what is served.
        effort: how long.
        on_step: called with a few words before each step.
        scenarios: of `SCENARIOS`.
        peers: beside ganport's server; None: LitServe and Triton.
        plans: precisions asked for, memory being measured on the first one; None: as the effort has it.
        watch: on the machine, made before anything else happened; None: made now.
        is_quick: for the document.
    """
    watched = watch or Watch()
    others = (LitServePeer(), TritonPeer()) if peers is None else tuple(peers)
    found, asked = _Found(), effort.plans if plans is None else plans
    systems = (GanportServer(), *others) if "clients" in scenarios else (GanportServer(),)
    for precision in asked:
        with set_stage(subject.bundle, precision, systems, effort.known, on_step) as stage:
            _around(stage, found, effort, scenarios if precision == asked[0] else {*scenarios} - {"memory"}, on_step)
    names = [peer.name for peer in others]
    promises = promises_of(found.concurrencies, found.singles, found.overloads, found.memories, names)
    return Results(watched.finished(), subject.to_json(), is_quick, **vars(found), promises=promises)


def _around(stage: Stage, found: _Found, effort: Effort, scenarios: Collection[str], on_step: OnStep) -> None:
    plan, ours = stage.precision, stage.running[GanportServer.name]
    if "clients" in scenarios:
        on_step(f"{plan}: {CLIENTS} clients, {len(stage.running)} servers in turns")
        found.concurrencies.append(measure_concurrency(stage, effort))
    if "one" in scenarios:
        on_step(f"{plan}: one client")
        found.singles.append(measure_single(stage, ours, effort))
    if "overload" in scenarios:
        on_step(f"{plan}: three times the capacity for {effort.overload_seconds:g} s")
        found.overloads.append(measure_overload(stage, ours, effort, Settings().max_queue))
    if "memory" in scenarios:
        on_step(f"{plan}: {effort.requests:,} requests in a row")
        found.memories.append(measure_memory(stage, ours, effort.requests))
