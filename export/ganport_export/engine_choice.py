"""Chooses the graphs of a bundle that engines are built of, and has them built."""

from collections.abc import Sequence

from ganport_export.engines import BuiltEngine, build_engines, load_library
from ganport_export.forms import FORMS
from ganport_export.observer import Observer, Progress
from ganport_export.variants import Graph

__all__ = ["check_engines", "engines_of"]


def check_engines(libraries: Sequence[str]) -> None:
    """See that every library can build here, before anything is made for it.

    Raises:
        ExportError: one is not installed, or needs a GPU that is not here.
    """
    for name in libraries:
        load_library(name)


def engines_of(
    graphs: Sequence[Graph], libraries: Sequence[str], observer: Observer, progress: Progress
) -> tuple[BuiltEngine, ...]:
    """Build the engines of a generator's graphs.

    Args:
        graphs: those that are shipped.
        libraries: to build with; none is no error.
        observer: told of every graph that gets no engine.
        progress: told what is being built.

    Raises:
        ExportError: as `build_engines`.
    """
    if not libraries:
        return ()
    fit = [graph for graph in graphs if FORMS[graph.form].engines]
    for graph in graphs:
        if graph not in fit:
            observer(f"no engine of {graph.id}: the form {graph.form} is for CPUs")
    return tuple(build_engines(fit, libraries, observer, progress=progress))
