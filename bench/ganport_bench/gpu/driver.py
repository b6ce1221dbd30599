"""Whether there is an NVIDIA GPU, as its driver says."""

import ctypes
import sys

__all__ = ["missing_gpu"]

DRIVERS = {"linux": "libcuda.so.1", "win32": "nvcuda.dll"}


def missing_gpu() -> str | None:
    """Why CUDA has nothing to run on here, or None where it has."""
    library = DRIVERS.get(sys.platform)
    if library is None:
        return f"there is no CUDA for {sys.platform}"
    try:
        driver = ctypes.CDLL(library)
    except OSError:
        return f"no NVIDIA driver ({library} cannot be loaded)"
    status, count = driver.cuInit(0), ctypes.c_int(0)
    if status == 0:
        status = driver.cuDeviceGetCount(ctypes.byref(count))
    if status != 0:
        return f"the NVIDIA driver finds no GPU that it can use (CUDA error {status})"
    return None if count.value else "the NVIDIA driver is there without a GPU"
