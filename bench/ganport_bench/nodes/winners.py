"""Profiles the plans that matter: at every batch size the fastest right one of each engine that tells of its nodes."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from ganport_runtime import Bundle, latents
from ganport_runtime.buckets import TOP

from ganport_bench.ceilings import Bandwidth, Peak, multiply_adds
from ganport_bench.nodes.onnxruntime import executed_by_onnxruntime
from ganport_bench.nodes.openvino import executed_by_openvino
from ganport_bench.nodes.profile import Executed, Profile, node_times
from ganport_bench.speed.measured import Comparison, Measured
from ganport_bench.speed.plans import OnePlan, plans_of

__all__ = ["Measurements", "otherwise", "profile_winners"]

Profiler = Callable[[bytes, Mapping[str, str], npt.NDArray[np.float32]], tuple[Executed, ...]]
PROFILERS: Mapping[str, Profiler] = {"openvino": executed_by_openvino, "onnxruntime": executed_by_onnxruntime}
TAKEN = frozenset({"precision_hint", "threads"})  # options that a profile has too
USUAL = frozenset({"latency", "static"})  # values of the others that change nothing of it
DEVICE = "cpu"  # on a GPU their counters tell of launches


class Measurements(Protocol):
    """What is to be known of everyone's speed."""

    @property
    def comparisons(self) -> Sequence[Comparison]:
        """One a batch size."""

    @property
    def peaks(self) -> Mapping[str, Peak]:
        """The CPU's, by precision."""

    @property
    def bandwidth(self) -> Bandwidth:
        """The computer's."""


def profile_winners(bundle: Path, results: Measurements) -> list[Profile]:
    """Run the fastest OpenVINO and the fastest ONNX Runtime plan of every batch size again, with their counters on.

    Args:
        bundle: whose plans were measured.
        results: of that measurement; plans whose images are wrong do not count.
    """
    opened = Bundle.open(bundle)
    plans = {plan.name: plan for plan in plans_of(opened) if plan.candidate.device == DEVICE}
    return [
        _profile(opened, plans[best.name], best, results)
        for comparison in results.comparisons
        for engine in PROFILERS
        if (best := _fastest(comparison, plans, engine)) is not None
    ]


def _fastest(comparison: Comparison, plans: Mapping[str, OnePlan], engine: str) -> Measured | None:
    those = [
        one
        for one in comparison.measured
        if one.name in plans and plans[one.name].candidate.backend == engine and not one.verdict.wrong
    ]
    return max(those, key=lambda one: one.images_per_second.value, default=None)


def otherwise(settings: Mapping[str, str], batch: int) -> str:
    """How a profile differs from the plan that it is of: it is one run of the whole batch in one stream; or empty."""
    left_out = [f"{name} {value}" for name, value in settings.items() if name not in TAKEN and value not in USUAL]
    ways = [f"without {', '.join(left_out)}"] if left_out else []
    ways += [f"as one run of {batch}"] if batch > TOP else []
    return f"Profiled {' and '.join(ways)}" if ways else ""


def _profile(bundle: Bundle, plan: OnePlan, measured: Measured, results: Measurements) -> Profile:
    z = latents(0, 0, measured.batch, bundle.manifest.generator.latent.dim)
    graph, engine = bundle.read(plan.candidate.entry), plan.candidate.backend
    executed = PROFILERS[engine](graph, measured.settings, z)
    nodes = node_times(executed, results.peaks, results.bandwidth)
    spent = 1e3 * measured.batch / measured.images_per_second.value
    lost = measured.batch * multiply_adds(graph) - sum(node.multiply_adds for node in nodes)
    note = otherwise(measured.settings, measured.batch)
    return Profile(plan.name, engine, measured.batch, measured.precision, spent, nodes, lost, note)
