"""Builds one engine after another with one library, and reads each back before anyone gets it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ganport_runtime.backends.tensorrt_fit import platform_name
from ganport_runtime.backends.tensorrt_log import log_of
from ganport_runtime.manifest import Engine, Variant
from ganport_runtime.text import one_line

from ganport_export.engines.libraries import Library
from ganport_export.engines.network import parse
from ganport_export.engines.products import network_products, shown
from ganport_export.engines.progress import new_monitor
from ganport_export.engines.settings import add_profiles, configure
from ganport_export.engines.target import Target, aim
from ganport_export.engines.verification import check_engine, check_network, read_back
from ganport_export.errors import ExportError
from ganport_export.observer import Observer, Progress

__all__ = ["BuiltEngine", "EngineBuilder", "Source"]


class Source(Protocol):
    """A finished graph: a `Graph` is one."""

    @property
    def variant(self) -> Variant:
        """The manifest's entry of it."""

    @property
    def data(self) -> bytes:
        """The ONNX file."""


@dataclass(frozen=True)
class BuiltEngine:
    """An engine and what the manifest says of it."""

    engine: Engine
    data: bytes


class EngineBuilder:
    """A library's builder and what its engines share.

    Args:
        library: a library that can build here.
        target: what the engines are to run on.
        observer: told in one line of what the library warns of.
        progress: told what is being done, many times a second.
    """

    def __init__(self, library: Library, target: Target, observer: Observer, progress: Progress) -> None:
        self.library = library
        self._target, self._observer, self._progress = target, observer, progress
        self._log = log_of(library.module)
        self._builder = library.module.Builder(self._log)
        self._timing_cache: list[Any] = []

    def build(self, source: Source) -> BuiltEngine:
        """Build the engine of a graph.

        Raises:
            UnsupportedPrecisionError: the library would compute an int8 graph in floating point.
            PrecisionError: the graph, or the engine, is of another precision than it is called.
            ExportError: the library cannot read or build the graph, or not for the target.
        """
        variant, library = source.variant, self.library
        self._log.clear()
        parsed = parse(self._builder, library, self._log, variant.id, source.data)
        asked, tf32 = network_products(parsed.network, library), variant.precision != "fp32"
        check_network(variant.id, variant.precision, asked)
        config = self._builder.create_builder_config()
        configure(config, library, tf32=tf32, timing_cache=self._timing_cache)
        capabilities = aim(config, library, self._target)
        profiles = add_profiles(config, self._builder, parsed.network)
        data = self._run(parsed.network, config, variant)
        found = read_back(data, library, self._log, tf32=tf32, capabilities=capabilities)
        verified = check_engine(variant.id, variant.precision, library, asked, found, len(profiles))
        details = {"layers": shown(verified.products), "verified_by": verified.verified_by}
        return BuiltEngine(self._record(variant, data, capabilities, profiles, details), data)

    def _run(self, network: Any, config: Any, variant: Variant) -> bytes:
        monitor = new_monitor(self.library.module, f"{variant.id} by {self.library.name}", self._progress)
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
        capabilities: tuple[str, ...],
        profiles: tuple[Mapping[str, Any], ...],
        details: Mapping[str, Any],
    ) -> Engine:
        identity = f"{variant.id}-{self.library.name}"
        made = {
            "platform": platform_name(),
            "precision": variant.precision,
            "source_sha256": variant.sha256,
            "hardware_compatible": self._target.hardware_compatible,
            "version_compatible": self._target.version_compatible,
        }
        return Engine(
            id=identity,
            variant=variant.id,
            file=f"engines/{identity}.engine",
            sha256=hashlib.sha256(data).hexdigest(),
            library=self.library.name,
            library_version=self.library.version,
            compute_capabilities=capabilities,
            profiles=profiles,
            details={**made, **details},
        )
