"""Where the time of a plan goes that OpenVINO runs: every executed node by the library's own counters."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from ganport_runtime import Bundle, latents
from ganport_runtime.backends.openvino_import import import_openvino
from ganport_runtime.plan import Candidate
from rich.table import Table
from rich.text import Text

from ganport_bench.ceilings import Peak, work_of
from ganport_bench.peers.protocol import Settings
from ganport_bench.speed.document import Results
from ganport_bench.speed.plans import plans_of

__all__ = ["NodeTime", "Profile", "profile", "profile_winners", "table"]

BACKEND = "openvino"
RUNS, WARMUP = 15, 5
HEAVY = ("Convolution", "Deconvolution", "FullyConnected", "MatMul")  # what multiplies matrices, in OpenVINO's words


@dataclass(frozen=True)
class NodeTime:
    """One node of the graph as it is executed.

    Attributes:
        name: OpenVINO's.
        executed_as: the kernel, with the numbers that it computes with at its end.
        milliseconds: of one call, the median over runs.
        share: of all nodes' time, 0 to 1.
        multiply_adds: of the ONNX nodes that it stands for, for the whole batch; 0 where it multiplies no matrices.
    """

    name: str
    executed_as: str
    milliseconds: float
    share: float
    multiply_adds: int

    @property
    def operations_per_second(self) -> float:
        """Multiplications and additions together."""
        return 2e3 * self.multiply_adds / self.milliseconds


@dataclass(frozen=True)
class Profile:
    """One plan at one batch size, in the order of execution.

    Attributes:
        plan: its name.
        batch: images a call; OpenVINO was given them in one stream.
        precision: what the plan computes with.
        nodes: those that took any time.
    """

    plan: str
    batch: int
    precision: str
    nodes: Sequence[NodeTime]

    def to_json(self) -> dict[str, Any]:
        """Its part of the document."""
        return asdict(self)


def profile_winners(bundle: Path, results: Results) -> list[Profile]:
    """The fastest plan of OpenVINO's at every batch size, of those whose images are right."""
    by_name = {one.name: one for one in plans_of(Bundle.open(bundle)) if one.candidate.backend == BACKEND}
    found = []
    for comparison in results.comparisons:
        those = [one for one in comparison.measured if one.name in by_name and not one.verdict.wrong]
        if those:
            best = max(those, key=lambda one: one.images_per_second.value)
            candidate = by_name[best.name].candidate
            nodes = profile(Bundle.open(bundle), candidate, best.settings, comparison.batch)
            found.append(Profile(best.name, comparison.batch, best.precision, nodes))
    return found


def profile(bundle: Bundle, candidate: Candidate, settings: Settings, batch: int) -> list[NodeTime]:
    """Run a variant with OpenVINO's counters on, the batch size fixed, in one stream."""
    graph = bundle.read(candidate.entry)
    compiled = _compile(graph, settings, batch)
    request = compiled.create_infer_request()
    z = latents(0, 0, batch, bundle.manifest.generator.latent.dim)
    taken: dict[str, list[float]] = {}
    kernels: dict[str, str] = {}
    for run in range(WARMUP + RUNS):
        request.infer({0: z})
        for node in request.profiling_info if run >= WARMUP else ():
            taken.setdefault(node.node_name, []).append(node.real_time.total_seconds() * 1e3)
            kernels[node.node_name] = f"{node.node_type} {node.exec_type}"
    return _nodes(taken, kernels, _multiply_adds(compiled, graph, batch))


def _compile(graph: bytes, settings: Settings, batch: int) -> Any:
    core = import_openvino().Core()
    model = core.read_model(graph)
    model.reshape([batch, *model.input(0).partial_shape[1:]])
    asked = {"PERF_COUNT": True, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}
    if "threads" in settings:
        asked["INFERENCE_NUM_THREADS"] = int(settings["threads"])
    return core.compile_model(model, "CPU", asked | {"INFERENCE_PRECISION_HINT": settings.get("precision_hint", "f32")})


def _multiply_adds(compiled: Any, graph: bytes, batch: int) -> dict[str, int]:
    """By executed node, which names the ONNX nodes that it stands for; one with a bias comes as two of a name."""
    counts = {node.name: node.multiply_adds * batch for node in work_of(graph)}
    found = {}
    for operation in compiled.get_runtime_model().get_ordered_ops():
        facts = operation.get_rt_info()
        if facts["layerType"].value in HEAVY:
            names = {name.split("/")[0] for name in facts["originalLayersNames"].value.split(",")}
            found[operation.get_friendly_name()] = sum(counts.get(name, 0) for name in names)
    return found


def _nodes(
    taken: Mapping[str, Sequence[float]], kernels: Mapping[str, str], multiply_adds: Mapping[str, int]
) -> list[NodeTime]:
    times = {name: median(values) for name, values in taken.items()}
    total = sum(times.values())
    return [
        NodeTime(name, kernels[name], spent, spent / total, multiply_adds.get(name, 0))
        for name, spent in times.items()
        if spent > 0
    ]


def table(profile: Profile, peaks: Mapping[str, Peak]) -> Table:
    """A row a node, longest first."""
    total = sum(node.milliseconds for node in profile.nodes)
    title = f"{profile.plan}, batch {profile.batch}: {total:.2f} ms in {len(profile.nodes)} nodes"
    result = Table(title=title, title_justify="left")
    for column in ("node", "executed as", "ms", "share", "Gop/s", f"of {profile.precision} peak"):
        result.add_column(column)
    for node in sorted(profile.nodes, key=lambda node: -node.milliseconds):
        result.add_row(*map(Text, _cells(node, peaks.get(profile.precision))))
    return result


def _cells(node: NodeTime, peak: Peak | None) -> tuple[str, ...]:
    speed = share = ""
    if node.multiply_adds:
        speed = f"{node.operations_per_second / 1e9:.0f}"
        share = "" if peak is None else f"{node.operations_per_second / peak.operations_per_second.value:.0%}"
    return node.name, node.executed_as, f"{node.milliseconds:.3f}", f"{node.share:.1%}", speed, share
