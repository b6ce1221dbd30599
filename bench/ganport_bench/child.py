"""One life in a fresh interpreter, step by step: run as a file by `fresh.py`, which reads each step and lets it go on.

It imports nothing beside what an interpreter has loaded anyway before a step needs it, so that every module's time and
memory count for the step that brings it. Each line that it writes is one step in JSON; whatever else would be printed
there is lost, and what is said on stderr is kept for errors.
"""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

KIB = 1024
SEED = 7
STATUS = "/proc/self/status"  # Linux: VmRSS is what is resident, VmHWM was so at most since this program began


class StepWriter:
    """Writes the steps."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # where libraries and commands print

    def do(self, name: str, work: Callable[[], Any]) -> Any:
        """A step: time `work` and return what it gave."""
        seconds, result = _timed(work)
        self.write(name, seconds)
        return result

    def batches(self, draw: Callable[[int], object], sizes: str, calls: str) -> None:
        """The first call at each batch size and the median of `calls` more; the very first is a step of its own."""
        numbers = [int(word) for word in sizes.split(",")]
        for size in numbers:
            seconds, _ = _timed(lambda size=size: draw(size))  # type: ignore[misc]  # mypy: a default is no argument
            if size == numbers[0]:
                self.write("first image", seconds)
            later = sorted(_timed(lambda size=size: draw(size))[0] for _ in range(int(calls)))  # type: ignore[misc]
            self.write(f"batch {size}", seconds, later[len(later) // 2])

    def write(self, name: str, seconds: float, later: float | None = None) -> None:
        """Write a step with the memory that is held after it, and wait until it was read."""
        resident, peak = _memory()
        numbers = {"seconds": seconds, "later": later, "resident": resident, "peak": peak}
        fields = ", ".join(f'"{key}": {"null" if value is None else value}' for key, value in numbers.items())
        self._out.write(f'{{"name": "{name}", {fields}}}\n')
        self._out.flush()
        sys.stdin.readline()


def importing(steps: StepWriter, module: str) -> None:
    """Import a module."""
    steps.do("import", lambda: __import__(module))


def command(steps: StepWriter, *words: str) -> None:
    """Run the command line `ganport`; this process ends with its status."""
    import runpy

    sys.argv = ["ganport", *words]
    status: object = 0
    try:
        runpy.run_module("ganport_cli", run_name="__main__")
    except SystemExit as end:
        status = end.code
    steps.write("command", 0.0)
    sys.exit(status)  # type: ignore[arg-type]  # whatever it was given


def generator(steps: StepWriter, sizes: str, calls: str, bundle: str, backends: str, *asked: str) -> None:
    """Open a bundle's generator and draw images; `asked` are arguments of `Generator.open`, as `device=cpu`."""
    import itertools

    kind = steps.do("import", lambda: __import__("ganport_runtime").Generator)
    steps.do("engine import", lambda: _import_engines(backends.split(",")))
    opened = steps.do("open", lambda: kind.open(bundle, **dict(word.split("=") for word in asked)))
    starts = itertools.count(step=64)
    steps.batches(lambda size: opened.sample(size, seed=SEED, start=next(starts)), sizes, calls)


def onnxruntime(steps: StepWriter, sizes: str, calls: str, file: str, latent_dim: str, provider: str) -> None:
    """A session as one would write it, with no word to any option."""
    numpy = steps.do("import", _import_numpy)
    library = steps.do("engine import", lambda: __import__("onnxruntime"))
    session = steps.do("open", lambda: _onnxruntime_session(library, file, provider))
    drawn = _latents(numpy, int(latent_dim))
    steps.batches(lambda size: session.run(["image"], {"z": drawn(size)}), sizes, calls)


def openvino(steps: StepWriter, sizes: str, calls: str, file: str, latent_dim: str, provider: str) -> None:  # noqa: ARG001
    """A compiled model as one would write it, told to compute in float32 as ganport's fp32 plans do."""
    numpy = steps.do("import", _import_numpy)
    library = steps.do("engine import", lambda: __import__("openvino"))
    asked = {"INFERENCE_PRECISION_HINT": "f32"}
    model = steps.do("open", lambda: library.Core().compile_model(file, "CPU", asked))
    drawn = _latents(numpy, int(latent_dim))
    steps.batches(lambda size: model({"z": drawn(size)})[0], sizes, calls)


TASKS: dict[str, Callable[..., None]] = {
    "import": importing,
    "ganport": command,
    "generator": generator,
    "onnxruntime": onnxruntime,
    "openvino": openvino,
}


def main(task: str, *words: str) -> None:
    """Live one of the lives in `TASKS`."""
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # else openvino reports its import to a server
    steps = StepWriter()
    steps.write("interpreter", 0.0)
    TASKS[task](steps, *words)


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.perf_counter()
    result = work()
    return time.perf_counter() - begun, result


def _memory() -> tuple[int | None, int | None]:
    """Resident bytes now and at most; ru_maxrss, the last resort, counts what the parent held at the fork too."""
    try:
        with open(STATUS) as status:  # noqa: PTH123  # pathlib is part of what is measured
            fields = dict(line.split(":", 1) for line in status)
        return int(fields["VmRSS"].split()[0]) * KIB, int(fields["VmHWM"].split()[0]) * KIB
    except FileNotFoundError:
        pass
    try:
        import resource
    except ImportError:
        return None, None
    return None, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else KIB)


def _import_numpy() -> Any:
    """NumPy with its random numbers, of which a bare session's latents are made."""
    import numpy.random

    return numpy


def _import_engines(backends: Sequence[str]) -> None:
    """Import what backends run on: of each the first of its packages that is installed."""
    from importlib.util import find_spec

    from ganport_runtime.backends import load_backend

    for backend in backends:
        modules = (package.module for package in load_backend(backend).packages)
        __import__(next(module for module in modules if find_spec(module)))


def _onnxruntime_session(library: Any, file: str, provider: str) -> Any:
    if provider == "CUDAExecutionProvider":
        from contextlib import redirect_stdout

        with redirect_stdout(sys.stderr):  # it prints what it does not find; stdout is this process's own
            library.preload_dlls()  # finds CUDA's libraries where pip has put them
    return library.InferenceSession(file, providers=[provider])


def _latents(numpy: Any, dim: int) -> Callable[[int], Any]:
    random = numpy.random.default_rng(SEED)
    return lambda size: random.standard_normal((size, dim), dtype=numpy.float32)


if __name__ == "__main__":
    main(*sys.argv[1:])
