"""Builds the engines of a bundle: every library that is asked for, every graph that it can run as it is meant."""

from collections.abc import Iterator, Sequence

from ganport_runtime.manifest import Variant

from ganport_export.engines.engine_builder import BuiltEngine, EngineBuilder, Source
from ganport_export.engines.errors import UnsupportedPrecisionError
from ganport_export.engines.libraries import check_libraries, load_library
from ganport_export.engines.target import Target
from ganport_export.errors import ExportError
from ganport_export.observer import Observer, Progress, log, quiet

__all__ = ["build_engines"]

ANYWHERE = Target()


def build_engines(
    variants: Sequence[Source],
    libraries: Sequence[str],
    observer: Observer = log,
    *,
    target: Target = ANYWHERE,
    progress: Progress = quiet,
) -> Sequence[BuiltEngine]:
    """Build an engine of every graph that the libraries can run as it is meant.

    Args:
        variants: finished graphs.
        libraries: of `LIBRARIES`; they are loaded before anything is built.
        observer: told of every graph that gets no engine, and of what the libraries warn of.
        target: what the engines are to run on.
        progress: told what is being done, many times a second.

    Raises:
        ExportError: a library is not here or takes none of the graphs, a graph cannot be read, or an engine came out
            in another precision than its graph's; the text has one line on which and why.
    """
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


def _engines(variants: Sequence[Source], builder: EngineBuilder, observer: Observer) -> Iterator[BuiltEngine]:
    for source in variants:
        if _is_asymmetric(source.variant):
            observer(f"no engine of {source.variant.id}: {builder.library} takes symmetric int8 alone, which is s8s8")
            continue
        try:
            yield builder.build(source)
        except UnsupportedPrecisionError as error:
            observer(str(error))


def _is_asymmetric(variant: Variant) -> bool:
    return bool(variant.details.get("quantization", {}).get("kind") == "u8s8")
