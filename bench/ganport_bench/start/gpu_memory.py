"""GPU memory that a process holds, by the management library of NVIDIA's driver (NVML)."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

__all__ = ["GpuMemory", "watching_gpus"]

NO_NVML = "nvidia-ml-py is not installed; pip install 'ganport[bench]'"


class GpuMemory:
    """Looks at the memory of all GPUs together.

    Args:
        nvml: the module `pynvml`, initialized.
    """

    def __init__(self, nvml: ModuleType) -> None:
        self._nvml = nvml
        self._handles: Sequence[object] = [
            nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())
        ]

    @property
    def count(self) -> int:
        """GPUs."""
        return len(self._handles)

    def watch(self) -> Callable[[int], int]:
        """A function that tells the bytes which a process, started after this, holds.

        Where the driver names no such process, which it does not in containers, it is what all GPUs hold more than now:
        nothing else may begin to use them meanwhile.
        """
        before = self._used()

        def held(pid: int) -> int:
            listed = self._listed(pid)
            return max(0, self._used() - before) if listed is None else listed

        return held

    def _used(self) -> int:
        return sum(int(self._nvml.nvmlDeviceGetMemoryInfo(handle).used) for handle in self._handles)

    def _listed(self, pid: int) -> int | None:
        """What the driver says of a process; None where it does not name it, or not its memory."""
        processes = [process for handle in self._handles for process in self._processes(handle)]
        found = [process.usedGpuMemory for process in processes if process.pid == pid]
        return sum(found) if found and None not in found else None

    def _processes(self, handle: object) -> Sequence[Any]:
        try:
            processes: Sequence[Any] = self._nvml.nvmlDeviceGetComputeRunningProcesses(handle)
        except self._nvml.NVMLError:  # not every GPU names them
            return ()
        return processes


@contextmanager
def watching_gpus() -> Iterator[GpuMemory | str]:
    """GPU memory to look at for the length of a block, or why there is none."""
    try:
        import pynvml  # type: ignore[import-untyped]
    except ModuleNotFoundError:
        yield NO_NVML
        return
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        yield f"no NVIDIA driver to ask for it ({error})"
        return
    try:
        yield _memory(pynvml)
    finally:
        pynvml.nvmlShutdown()


def _memory(nvml: ModuleType) -> GpuMemory | str:
    try:
        memory = GpuMemory(nvml)
        memory.watch()  # some GPUs, such as parts of one, do not tell
    except nvml.NVMLError as error:
        return f"the NVIDIA driver does not tell ({error})"
    return memory if memory.count else "the NVIDIA driver finds no GPU"
