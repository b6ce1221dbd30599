"""Where a plan's time goes: every node as it was executed, its share, and the least time that it could have taken.

A profile's part of the document:

    plan, engine, batch, precision
    call_milliseconds   of a call as it was measured among all systems, without counters
    nodes               [{name, executed_as, precision, milliseconds, share, multiply_adds, needed_multiply_adds,
                        bytes, floor_milliseconds}], in the order of execution
    unfound_multiply_adds   of the graph, which the engine executed under names that are unknown here
    note                how it was profiled otherwise than it was timed, or empty
    summary             {milliseconds, products_floor, products_above_floor, without_products}, the last three shares
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from ganport_runtime import Bundle, latents
from ganport_runtime.batches import TOP
from ganport_runtime.plan import Candidate
from numpy.typing import NDArray

from ganport_bench.comparison import Comparison, Measured
from ganport_bench.graph_work import BYTES, NodeWork, multiply_adds, work_of
from ganport_bench.peaks import Bandwidth, Peak
from ganport_bench.plans import candidates_of
from ganport_bench.speed import Speed
from ganport_bench.tables import Table, number, percent

RUNS, WARMUP = 15, 5
HEAVY = re.compile(r"Conv|Gemm|MatMul")  # in the names of ONNX Runtime's operators that multiply matrices
DEVICE = "cpu"  # on a GPU the engines' counters tell of launches
PROFILED = frozenset({"precision_hint", "threads"})  # options that a profile has too
USUAL = frozenset({"latency", "static"})  # values of other options that change nothing of it
SHOWN = 24  # rows of a table for the terminal; what is shorter is added up

ORT_PRECISIONS = {"float": "fp32", "float16": "fp16", "bfloat16": "bf16", "uint8": "int8", "int8": "int8"}
KERNEL = "_kernel_time"  # behind a node's name in an event of what it took
MADE = re.compile(r"^fused |(?:_nchwc|_token_\d+)+$")  # what optimizers put around the name of a node they replace


@dataclass(frozen=True)
class ExecutedNode:
    """One node of a graph as an engine executed it."""

    name: str  # the engine's
    executed_as: str  # the kernel, in the engine's words
    precision: str  # of the numbers that it computes with: `fp32`, `bf16`, `fp16`, `int8`, or the engine's word
    milliseconds: float  # of one call, the median over runs
    multiply_adds: int  # of the ONNX nodes that it stands for, for the whole batch; 0 where it multiplies no matrices
    needed_multiply_adds: int  # of these, the ones that are not with padding nor for what is cropped
    bytes: int  # read and written by one call, weights among them


@dataclass(frozen=True)
class NodeTime(ExecutedNode):
    """An executed node among the others."""

    share: float  # of all nodes' time, 0 to 1
    # the longer of what its operations take at the peak and its bytes at the bandwidth; None where it multiplies
    # matrices in a precision of which no peak is known.
    floor_milliseconds: float | None


@dataclass(frozen=True)
class Profile:
    """One plan at one batch size; the attributes are the document's keys."""

    plan: str
    engine: str
    batch: int
    precision: str
    call_milliseconds: float
    nodes: Sequence[NodeTime]
    unfound_multiply_adds: int = 0
    note: str = ""

    @property
    def summary(self) -> dict[str, float]:
        """Milliseconds of all nodes, and three shares that are 1 together; an unknown floor counts as 0."""
        total = sum(node.milliseconds for node in self.nodes)
        products = [node for node in self.nodes if node.multiply_adds]
        floor = sum(min(node.floor_milliseconds or 0.0, node.milliseconds) for node in products)
        spent = sum(node.milliseconds for node in products)
        return {
            "milliseconds": total,
            "products_floor": floor / total,
            "products_above_floor": (spent - floor) / total,
            "without_products": (total - spent) / total,
        }

    def to_json(self) -> dict[str, Any]:
        """Its part of the document."""
        return {**asdict(self), "summary": self.summary}


def measure(bundle: Path, speed: Speed) -> "Nodes":
    """Run the fastest right plan of each engine that tells of its nodes again, at every batch size, counters on."""
    opened = Bundle.open(bundle)
    plans = {name: candidate for name, candidate in candidates_of(opened).items() if candidate.device == DEVICE}

    def fastest(comparison: Comparison, engine: str) -> Measured | None:
        those = [one for one in comparison.measured if one.name in plans and not one.check.wrong]
        those = [one for one in those if plans[one.name].backend == engine]
        return max(those, key=lambda one: one.images_per_second.value, default=None)

    return Nodes(
        _profile(opened, plans[best.name], best, speed)
        for comparison in speed.comparisons
        for engine in PROFILERS
        if (best := fastest(comparison, engine)) is not None
    )


class Nodes(tuple[Profile, ...]):
    """The profiles of the fastest plans."""

    def to_json(self) -> list[dict[str, Any]]:
        """The part `nodes` of the document."""
        return [profile.to_json() for profile in self]


def _profile(bundle: Bundle, plan: Candidate, measured: Measured, speed: Speed) -> Profile:
    z = latents(0, 0, measured.batch, bundle.manifest.generator.latent.dim)
    graph, engine = bundle.read(plan.entry), plan.backend
    nodes = node_times(PROFILERS[engine](graph, measured.settings, z), speed.peaks, speed.bandwidth)
    spent = 1e3 * measured.batch / measured.images_per_second.value
    lost = measured.batch * multiply_adds(graph) - sum(node.multiply_adds for node in nodes)
    note = otherwise(measured.settings, measured.batch)
    return Profile(measured.name, engine, measured.batch, measured.precision, spent, nodes, lost, note)


def otherwise(settings: Mapping[str, str], batch: int) -> str:
    """How a profile differs from the plan that it is of: it is one run of the whole batch in one stream; or empty."""
    left_out = [f"{name} {value}" for name, value in settings.items() if name not in PROFILED and value not in USUAL]
    ways = [f"without {', '.join(left_out)}"] if left_out else []
    ways += [f"as one run of {batch}"] if batch > TOP else []
    return f"Profiled {' and '.join(ways)}" if ways else ""


def node_times(
    executed: Sequence[ExecutedNode], peaks: Mapping[str, Peak], bandwidth: Bandwidth
) -> tuple[NodeTime, ...]:
    """Every node that took any time, with its share and its floor."""
    total = sum(node.milliseconds for node in executed)

    def floor(node: ExecutedNode) -> float | None:
        memory = 1e3 * bandwidth.seconds(node.bytes)
        if not node.multiply_adds:
            return memory
        if node.precision not in peaks:
            return None
        return max(memory, 2e3 * node.needed_multiply_adds / peaks[node.precision].operations_per_second.value)

    those = [node for node in executed if node.milliseconds > 0]
    return tuple(
        NodeTime(**asdict(node), share=node.milliseconds / total, floor_milliseconds=floor(node)) for node in those
    )


class Products:
    """The nodes of a graph that multiply matrices, by name and by output, for the names that engines give them."""

    def __init__(self, graph: bytes) -> None:
        nodes = onnx.load_from_string(graph).graph.node
        self._work = {name: work for work in work_of(graph) for name in (work.output, work.name) if name}
        self._makers = {name: node for node in nodes for name in node.output}
        self._nodes = {name: node for node in nodes for name in (node.output[0], node.name) if name}

    def named(self, names: Iterable[str]) -> tuple[NodeWork, ...]:
        """Those of some names that are products, each once."""
        return tuple(dict.fromkeys(self._work[name] for name in names if name in self._work))

    def before(self, name: str) -> NodeWork | None:
        """The product of that name, or the last one before a node of that name, after which engines call both fused."""
        node = self._nodes.get(name)
        while node is not None and node.output[0] not in self._work:
            node = self._makers.get(node.input[0]) if node.input else None
        return None if node is None else self._work[node.output[0]]


@dataclass(frozen=True)
class TracedNode:
    """One node in a trace."""

    name: str  # of the node
    operator: str  # what it was executed as
    milliseconds: Sequence[float]  # of every run, in their order
    # type and shape of each that was given; weights that were packed beforehand are not.
    inputs: Sequence[tuple[str, Sequence[int]]]
    bytes: int  # of these inputs and of the outputs


def executed_by_onnxruntime(
    graph: bytes, settings: Mapping[str, str], z: NDArray[np.float32]
) -> tuple[ExecutedNode, ...]:
    """Run a graph on the CPU with the profiler on. `z`: float32 [batch, latent_dim]."""
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.enable_profiling = True
    if "threads" in settings:
        options.intra_op_num_threads = int(settings["threads"])
    with TemporaryDirectory(prefix="ganport-") as folder:
        options.profile_file_prefix = str(Path(folder) / "trace")
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        for _ in range(WARMUP + RUNS):
            session.run(None, {session.get_inputs()[0].name: z})
        traced = tuple(read_trace(Path(session.end_profiling()).read_text("utf-8")))
    products = Products(graph)
    return tuple(_executed(node, products, len(z)) for node in traced)


def read_trace(text: str) -> Iterator[TracedNode]:
    """Every node of a trace, JSON as the profiler writes it, in the order of execution."""
    events: dict[str, list[Mapping[str, Any]]] = {}
    for event in json.loads(text):
        if event.get("cat") == "Node" and event["name"].endswith(KERNEL):
            events.setdefault(event["name"].removesuffix(KERNEL), []).append(event)
    for name, those in events.items():
        told = those[-1]["args"]
        inputs = [next(iter(one.items())) for one in told.get("input_type_shape", ())]
        sizes = (told.get(key, 0) for key in ("activation_size", "parameter_size", "output_size"))
        taken = [event["dur"] / 1e3 for event in those]
        yield TracedNode(name, told["op_name"], taken, inputs, sum(map(int, sizes)))


def _executed(node: TracedNode, products: Products, batch: int) -> ExecutedNode:
    work = None
    if HEAVY.search(node.operator):
        work = products.before(node.name) or products.before(MADE.sub("", node.name))
    word = next((word for word, shape in node.inputs if shape), "")  # a scale or a zero point has none
    spent, precision = median(node.milliseconds[WARMUP:]), ORT_PRECISIONS.get(word, word)
    if work is None:
        return ExecutedNode(node.name, node.operator, precision, spent, 0, 0, node.bytes)
    # Weights are none of the inputs where after the first one only biases and scales, of fewer than two axes, are left.
    is_packed = all(len(shape) < 2 for _, shape in node.inputs[1:])
    weights = work.weight_bytes if is_packed else 0
    counts = (batch * work.multiply_adds, batch * work.needed)
    return ExecutedNode(node.name, node.operator, precision, spent, *counts, node.bytes + weights)


def executed_by_openvino(graph: bytes, settings: Mapping[str, str], z: NDArray[np.float32]) -> tuple[ExecutedNode, ...]:
    """Run a graph on the CPU with counters on, the batch size fixed, in one stream."""
    from ganport_runtime.backends.openvino import openvino_core

    model = openvino_core().read_model(graph)
    model.reshape([len(z), *model.input(0).partial_shape[1:]])
    asked = {"PERF_COUNT": True, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}
    asked["INFERENCE_PRECISION_HINT"] = settings.get("precision_hint", "f32")
    if "threads" in settings:
        asked["INFERENCE_NUM_THREADS"] = int(settings["threads"])
    compiled = openvino_core().compile_model(model, "CPU", asked)
    request = compiled.create_infer_request()
    taken: dict[str, list[float]] = {}
    kernels: dict[str, str] = {}
    for run in range(WARMUP + RUNS):
        request.infer({0: z})
        for node in request.profiling_info if run >= WARMUP else ():
            taken.setdefault(node.node_name, []).append(node.real_time.total_seconds() * 1e3)
            kernels[node.node_name] = f"{node.node_type} {node.exec_type}"
    works = dict(_openvino_works(compiled, Products(graph), len(z)))
    return tuple(
        ExecutedNode(name, kernels[name], precision, median(taken[name]), *counts)
        for name, (precision, *counts) in works.items()
        if name in taken
    )


def _openvino_works(compiled: Any, products: Products, batch: int) -> Iterator[tuple[str, tuple[str, int, int, int]]]:
    """By executed node: its precision, multiply-adds, those needed, and bytes."""
    from ganport_runtime.backends import openvino

    for operation in compiled.get_runtime_model().get_ordered_ops():
        facts = {key: value.value for key, value in operation.get_rt_info().items()}
        precision = openvino.EXECUTED.get(facts["runtimePrecision"], facts["runtimePrecision"])
        # One with a bias comes as two of a name, the second with a word behind it.
        names = [name.split("/")[0] for name in facts["originalLayersNames"].split(",")]
        found = products.named(names) if facts["layerType"] in openvino.HEAVY else ()
        counts = (batch * sum(work.multiply_adds for work in found), batch * sum(work.needed for work in found))
        yield operation.get_friendly_name(), (precision, *counts, _openvino_bytes(operation, precision))


def _openvino_bytes(operation: Any, precision: str) -> int:
    """What it reads and writes; stored numbers were brought to the precision of the node beforehand."""
    total = sum(prod(output.get_shape()) * output.get_element_type().size for output in operation.outputs())
    for tensor in operation.inputs():
        source = tensor.get_source_output()
        size = source.get_element_type().size
        if source.get_node().get_rt_info()["layerType"].value == "Const":
            size = min(size, BYTES.get(precision, size))
        total += prod(source.get_shape()) * size
    return int(total)


Profiler = Callable[[bytes, Mapping[str, str], NDArray[np.float32]], tuple[ExecutedNode, ...]]
PROFILERS: Mapping[str, Profiler] = {"openvino": executed_by_openvino, "onnxruntime": executed_by_onnxruntime}


COLUMNS = ("node", "executed as", "in", "ms", "share", "floor ms", "x floor", "Gop/s", "of its peak", "KiB")


def tables(document: Mapping[str, Any]) -> list[Table]:
    """Where the time goes; then the longest nodes of every profile, and a folded table of all its nodes."""
    peaks = document.get("ceilings", {}).get("peaks", {})
    found = [_shares_table([profile for profile in document["nodes"] if profile.get("summary")])]
    for profile in document["nodes"]:
        ranked = sorted(profile["nodes"], key=lambda node: -node["milliseconds"])
        total = sum(node["milliseconds"] for node in ranked)
        title = f"{profile['plan']}, batch {profile['batch']}: {number(total)} ms in {len(ranked)} nodes"
        rows = [_cells(node, peaks.get(node.get("precision"))) for node in ranked]
        rest = ranked[SHOWN:]
        if rest:
            spent, share = sum(node["milliseconds"] for node in rest), sum(node["share"] for node in rest)
            found.append(Table(f"All nodes of {title}", COLUMNS, rows, is_long=True))
            rows = [*rows[:SHOWN], (f"{len(rest)} more", "", "", number(spent), f"{share:.1%}")]
        found.append(Table(title, COLUMNS, rows, "\n".join(_summary(profile))))
    return found


def _shares_table(profiles: Sequence[Mapping[str, Any]]) -> Table:
    shares = ("products_floor", "products_above_floor", "without_products")
    columns = ("plan", "batch", "ms in nodes", "products at their floor", "products above it", "nodes without products")
    rows = [
        (
            profile["plan"],
            str(profile["batch"]),
            number(sum(node["milliseconds"] for node in profile["nodes"])),
            *(percent(profile["summary"][name]) for name in shares),
        )
        for profile in profiles
    ]
    return Table("Where the time goes", columns, rows)


def _cells(node: Mapping[str, Any], peak: Mapping[str, Any] | None) -> tuple[str, ...]:
    spent, floor = node["milliseconds"], node.get("floor_milliseconds")
    rate = 2e3 * node.get("needed_multiply_adds", 0) / spent  # operations a second
    of_peak = "" if peak is None or not rate else percent(rate / peak["operations_per_second"]["value"])
    return (
        node["name"],
        node["executed_as"],
        node.get("precision", ""),
        number(spent),
        f"{node['share']:.1%}",
        number(floor),
        number(spent / floor) if floor else "",
        number(rate / 1e9) if rate else "",
        of_peak,
        "" if node.get("bytes") is None else f"{node['bytes'] / 1024:,.0f}",
    )


def _summary(profile: Mapping[str, Any]) -> Iterator[str]:
    if found := profile.get("summary"):
        yield (
            f"{percent(found['products_floor'])} of the time is the floor of the nodes that multiply matrices, "
            f"{percent(found['products_above_floor'])} is what they take above it or have no known floor for, "
            f"{percent(found['without_products'])} goes to nodes without products. "
            f"Without counters a call took {number(profile['call_milliseconds'])} ms."
        )
    if lost := profile.get("unfound_multiply_adds"):
        yield f"{lost:,} multiply-adds were not found in the nodes by their names."
    if profile.get("note"):
        yield f"{profile['note']}."
