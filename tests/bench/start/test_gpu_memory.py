import sys
from types import SimpleNamespace

import pytest
from ganport_bench.start.gpu_memory import GpuMemory, watching_gpus


class Nvml:
    """Two GPUs of a driver that names the processes of `listed`, where it is no container."""

    class NVMLError(Exception):
        pass

    def __init__(self, *, gpus: int = 2, lacks: str = "") -> None:
        self.gpus, self.lacks, self.used = gpus, lacks, [500, 70]
        self.listed: list[SimpleNamespace] = []
        self.is_open = False

    def nvmlInit(self) -> None:  # noqa: N802  # NVML's own names
        self._need("driver")
        self.is_open = True

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.is_open = False

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return self.gpus

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:  # noqa: N802
        self._need("memory")
        return SimpleNamespace(used=self.used[handle])

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> list[SimpleNamespace]:  # noqa: N802
        self._need("processes")
        return self.listed

    def _need(self, what: str) -> None:
        if what == self.lacks:
            raise self.NVMLError(f"no {what}")


def watched(nvml: Nvml, monkeypatch: pytest.MonkeyPatch) -> GpuMemory | str:
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    with watching_gpus() as memory:
        assert nvml.is_open is (nvml.lacks != "driver")
        return memory


def gpu_memory(nvml: Nvml, monkeypatch: pytest.MonkeyPatch) -> GpuMemory:
    memory = watched(nvml, monkeypatch)
    assert isinstance(memory, GpuMemory)
    return memory


def test_a_process_that_the_driver_names_holds_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = Nvml()
    held = gpu_memory(nvml, monkeypatch).watch()
    nvml.used = [900, 900]
    nvml.listed = [SimpleNamespace(pid=7, usedGpuMemory=30), SimpleNamespace(pid=8, usedGpuMemory=4)]
    assert held(7) == 60  # on both GPUs
    assert not nvml.is_open


@pytest.mark.parametrize("lacks", ["", "processes"])
def test_one_that_it_does_not_name_holds_what_all_gpus_hold_more(lacks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = Nvml(lacks=lacks)
    memory = gpu_memory(nvml, monkeypatch)
    nvml.used = [600, 70]
    held = memory.watch()
    assert held(7) == 0
    nvml.used = [650, 75]
    nvml.listed = [SimpleNamespace(pid=7, usedGpuMemory=None)]
    assert held(7) == 55


@pytest.mark.parametrize(
    ("nvml", "reason"),
    [
        (Nvml(lacks="driver"), "no NVIDIA driver to ask for it (no driver)"),
        (Nvml(lacks="memory"), "the NVIDIA driver does not tell (no memory)"),
        (Nvml(gpus=0), "the NVIDIA driver finds no GPU"),
    ],
)
def test_why_there_is_none_is_said(nvml: Nvml, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said = watched(nvml, monkeypatch)
    assert said == reason
    assert not nvml.is_open


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with watching_gpus() as said:
        assert said == "nvidia-ml-py is not installed; pip install 'ganport[bench]'"
