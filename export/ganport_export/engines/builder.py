"""Builds engines of a bundle's graphs, and reads each back before anyone gets it."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ganport_runtime.backends.tensorrt import platform_name
from ganport_runtime.backends.tensorrt_session import log_of
from ganport_runtime.batches import BUCKETS
from ganport_runtime.errors import one_line
from ganport_runtime.manifest import CompiledEngine, Variant

from ganport_export.engines.libraries import (
    Library,
    Target,
    UnsupportedPrecisionError,
    aim,
    check_libraries,
    load_library,
)
from ganport_export.engines.verification import check_engine, check_network, network_products, read_back, shown
from ganport_export.errors import ExportError, Observer, Progress, log, quiet

ANYWHERE = Target()

Profiles = tuple[Mapping[str, Any], ...]


class BuildableGraph(Protocol):
    """A finished graph: an `ExportedGraph` is one."""

    @property
    def variant(self) -> Variant:
        """The manifest's entry of it."""

    @property
    def data(self) -> bytes:
        """The ONNX file."""


@dataclass(frozen=True)
class BuiltEngine:
    """An engine and what the manifest says of it."""

    engine: CompiledEngine
    data: bytes


def build_engines(
    variants: Sequence[BuildableGraph],
    libraries: Sequence[str],
    observer: Observer = log,
    *,
    target: Target = ANYWHERE,
    progress: Progress = quiet,
) -> Sequence[BuiltEngine]:
    """Build an engine of every graph that the libraries can run as it is meant."""
    check_libraries(libraries)
    if not variants:
        raise ExportError("no graph is there to build engines of: export the form deconv or phase too")
    builders = [EngineBuilder(load_library(name), target, observer, progress) for name in libraries]
    built: list[BuiltEngine] = []
    for builder in builders:
        engines = list(_engines(variants, builder, observer))
        if not engines:
            raise ExportError(f"{builder.library} can build none of {', '.join(one.variant.id for one in variants)}")
        built += engines
    return built


class EngineBuilder:
    """A library's builder and what its engines share."""

    def __init__(self, library: Library, target: Target, observer: Observer, progress: Progress) -> None:
        self.library = library
        self._target, self._observer, self._progress = target, observer, progress
        self._log = log_of(library.module)
        self._builder = library.module.Builder(self._log)
        self._timing_cache: list[Any] = []

    def build(self, source: BuildableGraph) -> BuiltEngine:
        """Build the engine of a graph."""
        variant, library = source.variant, self.library
        self._log.clear()
        network, _owner = _parse(self._builder, library, self._log, variant.id, source.data)
        asked, tf32 = network_products(network, library), variant.precision != "fp32"
        check_network(variant.id, variant.precision, asked)
        config = self._builder.create_builder_config()
        _configure(config, library, tf32=tf32, timing_cache=self._timing_cache)
        capabilities = aim(config, library, self._target)
        profiles = _add_profiles(config, self._builder, network)
        data = self._run(network, config, variant)
        found = read_back(data, library, self._log, tf32=tf32, capabilities=capabilities)
        products, verified_by = check_engine(variant.id, variant.precision, library, asked, found, len(profiles))
        details = {"layers": shown(products), "verified_by": verified_by}
        return BuiltEngine(self._record(variant, data, capabilities, profiles, details), data)

    def _run(self, network: Any, config: Any, variant: Variant) -> bytes:
        monitor = _new_monitor(self.library.module, f"{variant.id} by {self.library.name}", self._progress)
        config.progress_monitor = monitor
        plan = self._builder.build_serialized_network(network, config)
        for line in dict.fromkeys(self._log.warnings):
            self._observer(f"{self.library}, building {variant.id}: {one_line(line)}")
        if monitor.error is not None:
            raise monitor.error
        if plan is None:
            raise ExportError(f"{self.library} cannot build {variant.id}: {self._log.said('it gives no reason')}")
        return bytes(plan)

    def _record(
        self,
        variant: Variant,
        data: bytes,
        targets: tuple[str, ...],
        profiles: Profiles,
        details: Mapping[str, Any],
    ) -> CompiledEngine:
        identity = f"{variant.id}-{self.library.name}"
        made = {
            "platform": platform_name(),
            "precision": variant.precision,
            "source_sha256": variant.sha256,
            "hardware_compatible": self._target.hardware_compatible,
            "version_compatible": self._target.version_compatible,
        }
        return CompiledEngine(
            id=identity,
            variant=variant.id,
            file=f"engines/{identity}.engine",
            sha256=hashlib.sha256(data).hexdigest(),
            library=self.library.name,
            library_version=self.library.version,
            compute_capabilities=targets,
            profiles=profiles,
            details={**made, **details},
        )


def _engines(variants: Sequence[BuildableGraph], builder: EngineBuilder, observer: Observer) -> Iterator[BuiltEngine]:
    for source in variants:
        if source.variant.details.get("quantization", {}).get("kind") == "u8s8":
            observer(f"no engine of {source.variant.id}: {builder.library} takes symmetric int8 alone, which is s8s8")
            continue
        try:
            yield builder.build(source)
        except UnsupportedPrecisionError as error:
            observer(str(error))


def _parse(builder: Any, library: Library, messages: Any, name: str, data: bytes) -> tuple[Any, Any]:
    """A strongly typed network, whose precisions are the file's own, and the parser that owns its weights."""
    # Required of `tensorrt` 10, where a network is otherwise rounded as the builder sees fit; 11 knows no other kind.
    typed = 1 << int(library.module.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(typed)
    parser = library.module.OnnxParser(network, messages)
    if not parser.parse(data):
        raise ExportError(f"{library} cannot read {name}: {_complaint(parser, messages)}")
    shapes = [tuple(network.get_input(index).shape) for index in range(network.num_inputs)]
    if len(shapes) != 1 or shapes[0][:1] != (-1,) or min(shapes[0][1:], default=1) < 1:
        shown_shapes = ", ".join(map(str, shapes)) or "none"
        raise ExportError(
            f"{library} cannot build {name}: its inputs have the shapes {shown_shapes} (-1 is free), "
            "wanted one whose first size alone is free, the batch"
        )
    return network, parser


def _complaint(parser: Any, messages: Any) -> str:
    if not parser.num_errors:
        return str(messages.said("it gives no reason"))
    error = parser.get_error(0)
    node = error.node_name() or (f"number {error.node()}" if error.node() >= 0 else "")
    where = f"node {node} ({error.node_operator()}): " if node else ""
    return f"{where}{one_line(error.desc().removeprefix('Assertion failed: '))}"


def _configure(config: Any, library: Library, *, tf32: bool, timing_cache: list[Any]) -> None:
    """Set everything but the target and the profiles.

    `tf32` lets float32 products be rounded to TF32, which has fp16's precision and is on otherwise; `timing_cache` is
    empty before the first engine of a builder, and holds the cache that all of them share after it.
    """
    config.profiling_verbosity = library.module.ProfilingVerbosity.DETAILED  # or the inspector tells names alone
    if not tf32:
        config.clear_flag(library.module.BuilderFlag.TF32)
    if library.builds_ahead:  # TensorRT-RTX times no kernels: it compiles them where the engine runs
        return
    if not timing_cache:
        timing_cache.append(config.create_timing_cache(b""))
    config.set_timing_cache(timing_cache[0], ignore_mismatch=False)


def _add_profiles(config: Any, builder: Any, network: Any) -> Profiles:
    """Add one profile a bucket, for that batch alone, as the runtime runs no other; the records of them.

    With a fixed batch every kernel is chosen for it, no shape is computed while it runs, and a CUDA graph can hold the
    run. Weights are shared: seven profiles made the engine of a 64x64 generator an eighth larger than one.
    """
    tensor = network.get_input(0)
    records = []
    for bucket in BUCKETS:
        shape = [bucket, *tuple(tensor.shape)[1:]]
        profile = builder.create_optimization_profile()
        profile.set_shape(tensor.name, shape, shape, shape)
        config.add_optimization_profile(profile)
        records.append({"bucket": bucket, "min": shape, "opt": shape, "max": shape})
    return tuple(records)


def _new_monitor(library: Any, name: str, progress: Progress) -> Any:
    """An `IProgressMonitor` of `library` that tells `progress` of every phase of building `name`.

    TensorRT calls it from its own code, which no exception may cross: the first one, an interrupt too, stops the build
    and is kept in `error`, to be raised by who started it.
    """

    class Monitor(library.IProgressMonitor):  # type: ignore[misc]  # the library is known when it is loaded, not before
        def __init__(self) -> None:
            library.IProgressMonitor.__init__(self)
            self.error: BaseException | None = None
            self.steps: dict[str, int] = {}

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:  # noqa: ARG002
            self.steps[phase] = steps
            self._tell(f"{name}: {phase[:1].lower()}{phase[1:]}")

        def step_complete(self, phase: str, step: int) -> bool:
            self._tell(f"{name}: {phase[:1].lower()}{phase[1:]}, {step + 1} of {self.steps.get(phase, step + 1)}")
            return self.error is None

        def phase_finish(self, phase: str) -> None:
            self.steps.pop(phase, None)

        def _tell(self, line: str) -> None:
            if self.error is None:
                try:
                    progress(line)
                except BaseException as error:
                    self.error = error

    return Monitor()
