"""Runs `child.py` in a fresh interpreter and reads what each of its steps took and left in memory."""

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import IO

from ganport_bench.errors import BenchError
from ganport_bench.timing import System

CHILD = Path(__file__).with_name("child.py")
LAST = 500  # characters of what a process said before it failed


@dataclass(frozen=True)
class ProcessStep:
    """One step of a process."""

    name: str  # `interpreter`, `import`, `engine import`, `open`, `first image`, `batch 8` and so on
    seconds: float  # that it took; at a batch size its first call
    later: float | None  # seconds, the median of the calls after the first; None but at batch sizes
    resident: int | None  # bytes after it; None where the system does not tell
    peak: int | None  # bytes at most until then; None where the system does not tell
    gpu: int | None = None  # bytes of GPU memory after it; None without a GPU


def live(
    *words: str, environment: Mapping[str, str] | None = None, gpus: "UsedGpuMemory | None" = None
) -> list[ProcessStep]:
    """Let a fresh interpreter do one of the tasks of `child.py`.

    The file system's cache is as it was left: what has run before finds its files in memory. Byte code of modules is
    there as after an installation; where this process was told to write none, in a folder that goes when it ends.

    Raises BenchError: it failed; with the last that it said.
    """
    before = gpus() if gpus else 0
    command = [sys.executable, "-P", str(CHILD), *words]  # -P: modules of this folder do not hide others
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        begun = time.perf_counter()
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            env={**os.environ, **_byte_code(), **(environment or {})},
        ) as process:
            try:
                steps = list(_steps(process, begun, lambda: max(0, gpus() - before) if gpus else None))
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            reason = _last(said) or f"its status is {process.returncode}, it said nothing"
            raise BenchError(f"{' '.join(words)} fails in a fresh interpreter: {reason}")
    return steps


def import_seconds(module: str) -> System:
    """A system: a fresh interpreter imports `module` and tells how long that took."""
    return lambda: live("import", module)[-1].seconds


def _steps(process: subprocess.Popen[str], begun: float, gpu: Callable[[], int | None]) -> Iterator[ProcessStep]:
    """The steps as they come; the first one is the interpreter's own start, which this side alone can time."""
    assert process.stdin is not None
    assert process.stdout is not None
    for line in process.stdout:
        taken = time.perf_counter() - begun
        step = replace(ProcessStep(**json.loads(line)), gpu=gpu())
        yield replace(step, seconds=taken) if step.name == "interpreter" else step
        process.stdin.write("\n")
        process.stdin.flush()


def _last(said: IO[str]) -> str:
    """What an error says: of a traceback its last line, else all that was said."""
    said.seek(0)
    text = said.read().strip()
    last = text.splitlines()[-1] if "Traceback (most recent call last)" in text else " ".join(text.split())
    return last[-LAST:]


def _byte_code() -> dict[str, str]:
    if not sys.dont_write_bytecode:
        return {}
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": _byte_code_folder()}


@cache
def _byte_code_folder() -> str:
    folder = tempfile.mkdtemp(prefix="ganport-byte-code-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


UsedGpuMemory = Callable[[], int]  # bytes in use on all GPUs together


@contextmanager
def watching_gpus() -> Iterator[UsedGpuMemory | str]:
    """What tells the GPU memory in use, by NVIDIA's management library (NVML), or why there is none."""
    try:
        import pynvml  # type: ignore[import-untyped]
    except ModuleNotFoundError:
        yield "nvidia-ml-py is not installed; pip install 'ganport[bench]'"
        return

    def used() -> int:
        return sum(int(pynvml.nvmlDeviceGetMemoryInfo(gpu).used) for gpu in gpus)

    with ExitStack() as stack:
        found: UsedGpuMemory | str = used
        try:
            pynvml.nvmlInit()
            stack.callback(pynvml.nvmlShutdown)
            gpus = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
            used()
            if not gpus:
                found = "the NVIDIA driver finds no GPU"
        except pynvml.NVMLError as error:  # some GPUs, such as parts of one, do not tell either
            found = f"the NVIDIA driver does not tell it ({error})"
        yield found
