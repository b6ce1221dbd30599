"""What imports take in fresh interpreters, their own start not counted."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec

from ganport_bench.errors import BenchError
from ganport_bench.start.fresh import live
from ganport_bench.start.quantity import Quantity
from ganport_bench.timing import System, interleave

__all__ = ["importing", "measure_imports"]

MODULES = ("numpy", "ganport_runtime", "onnxruntime", "openvino", "tensorrt_rtx", "tensorrt")
CONTRAST = "torch"  # what the runtime does without


def importing(module: str) -> System:
    """A system: a fresh interpreter imports `module` and tells how long that took."""
    return lambda: live("import", module)[-1].seconds


def measure_imports(rounds: int, on_missing: Callable[[str, str], object]) -> Iterator[Quantity]:
    """The import of ganport's runtime, of every engine that is installed, and of PyTorch for contrast.

    Args:
        rounds: fresh interpreters for each.
        on_missing: told a module that is installed and cannot be imported, and why.
    """
    modules = []
    for name in (name for name in (*MODULES, CONTRAST) if find_spec(name)):
        try:
            importing(name)()
            modules.append(name)
        except BenchError as error:
            on_missing(f"import {name}", str(error))
    seconds = interleave({name: importing(name) for name in modules}, rounds=rounds)
    for name, taken in seconds.items():
        note = "for contrast: the runtime does without" if name == CONTRAST else ""
        yield Quantity.of_seconds("import", name, f"import {name}", taken, note=note)
