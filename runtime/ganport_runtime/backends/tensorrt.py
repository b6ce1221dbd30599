"""TensorRT without a detour: engines of `tensorrt` 10 and 11 and of `tensorrt_rtx`, on an NVIDIA GPU."""

import platform
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ganport_runtime.backends import cuda
from ganport_runtime.backends.protocol import Backend, Package, check_options
from ganport_runtime.batches import BUCKETS
from ganport_runtime.errors import PlanError, shown
from ganport_runtime.manifest import CompiledEngine, Entry

if TYPE_CHECKING:
    from ganport_runtime.backends.tensorrt_session import TensorRTSession

OPTIONS = {"cuda_graph": ("on", "off")}
NEITHER = "neither tensorrt_rtx nor tensorrt is installed; pip install 'ganport[rtx]' or 'ganport[tensorrt]'"
REMEDY = "build one here: ganport export ... --engines {}"
CAPABILITY = re.compile(r"(\d+)\.(\d+)(\+?)")  # `8.6`, or `8.0+` for 8.0 and every later one


class TensorRTBackend(Backend):
    """The TensorRT family. It runs engines that an export built, and builds none itself."""

    name = "tensorrt"
    devices = ("cuda",)
    packages = (
        Package("tensorrt", "tensorrt", "tensorrt", "cuda", "no TensorRT engines, built or run; servers and Jetson"),
        Package(
            "tensorrt-rtx", "tensorrt_rtx", "rtx", "cuda", "no TensorRT-RTX engines, built (which needs no GPU) or run"
        ),
    )
    helpers = (Package("cuda-bindings", "cuda.bindings", "rtx", "cuda", "no TensorRT engines are run"),)
    engine_libraries = tuple(package.module for package in packages)

    def refusal(self, device: str) -> str | None:  # noqa: ARG002
        """Why no engine can run here, or None."""
        without_driver = cuda.refusal()
        if without_driver is not None:
            return without_driver
        return None if self.version() else NEITHER

    def entry_refusal(self, entry: Entry, device: str) -> str | None:  # noqa: ARG002
        """Why this machine does not fit an engine: every misfit of its record, and the remedy."""
        if not isinstance(entry, CompiledEngine):
            return "tensorrt runs engines alone; build one with ganport export ... --engines tensorrt-rtx"
        return refusal_of(entry, this_machine())

    def settings_to_try(self, entry: Entry, device: str) -> tuple[Mapping[str, str], ...]:  # noqa: ARG002
        """With a CUDA graph for each bucket, and without."""
        return tuple({"cuda_graph": value} for value in OPTIONS["cuda_graph"])

    def version(self) -> str:
        """The installed libraries of the family with their versions."""
        return ", ".join(f"{library} {version}" for library, version in installed().items())

    def open(
        self, model: bytes, *, entry: Entry, device: str, threads: int | None, options: Mapping[str, str] = {}
    ) -> "TensorRTSession":
        """Deserialize an engine, after its bytes were seen to be those that the manifest names."""
        from ganport_runtime.backends.tensorrt_session import load_engine

        check_options("tensorrt", options, OPTIONS)
        del threads  # one thread asks the GPU for its work
        reasons = [reason for reason in (self.entry_refusal(entry, device), self.refusal(device)) if reason]
        if reasons or not isinstance(entry, CompiledEngine):
            raise PlanError("; ".join(reasons))
        return load_engine(model, entry, {"cuda_graph": "on", **options})


BACKEND = TensorRTBackend


REMEDIES = {package.module: package.remedy for package in TensorRTBackend.packages}  # by library of the family


@dataclass(frozen=True)
class Machine:
    """What an engine's record is compared with."""

    versions: Mapping[str, str]  # of each installed library of the family
    platform: str  # such as `linux-x86_64`
    compute_capability: str | None  # such as `8.9`; None where there is no GPU to ask
    without_gpu: str = "there is no GPU here"


def this_machine() -> Machine:
    """The machine that this runs on; imports no TensorRT library."""
    if cuda.refusal() is not None:
        return Machine(installed(), platform_name(), None)
    try:
        return Machine(installed(), platform_name(), cuda.compute_capability())
    except PlanError as error:  # a driver that is too old, or one without a GPU
        return Machine(installed(), platform_name(), None, str(error))


def platform_name() -> str:
    """System and processor, such as `linux-x86_64`: an engine holds machine code of one of them."""
    return f"{sys.platform}-{platform.machine().lower()}"


def installed() -> dict[str, str]:
    """The version of each library of the family that is installed."""
    found = {library: _version(library) for library in REMEDIES}
    return {library: version for library, version in found.items() if version}


def bucket_profiles(entry: CompiledEngine) -> dict[int, int]:
    """The number of the engine's profile for each bucket that its record has one for."""
    batches = [profile.get("bucket") for profile in entry.profiles]
    return {bucket: batches.index(bucket) for bucket in BUCKETS if bucket in batches}


def refusal_of(entry: CompiledEngine, machine: Machine) -> str | None:
    """Every misfit in one line, with the remedy where another engine would fit; None where this one does."""
    of_record = [*_library_misfits(entry, machine), *_other_misfits(entry, machine)]
    of_gpu = _misfit_of_gpu(entry, machine)
    reasons = [*of_record, *([of_gpu] if of_gpu else [])]
    if of_gpu and machine.compute_capability is not None:
        reasons.append(REMEDY.format("tensorrt"))  # it builds for whatever GPU is here
    elif of_record:
        library = entry.library if entry.library in REMEDIES else "tensorrt_rtx"
        reasons.append(REMEDY.format(library.replace("_", "-")))
    return "; ".join(reasons) or None


def _other_misfits(entry: CompiledEngine, machine: Machine) -> Iterator[str]:
    made_for = entry.details.get("platform")
    if made_for != machine.platform:
        yield f"it was built for {shown(made_for) if made_for else 'an unknown platform'}, this is {machine.platform}"
    missing = [str(bucket) for bucket in BUCKETS if bucket not in bucket_profiles(entry)]
    if missing:
        yield f"it has no profile for batch {', '.join(missing)}"


def _misfit_of_gpu(entry: CompiledEngine, machine: Machine) -> str | None:
    has, wanted = machine.compute_capability, ", ".join(entry.compute_capabilities) or "no known one"
    if has is None:
        return f"it was built for compute capability {wanted}, {machine.without_gpu}"
    if any(_covers(named, has) for named in entry.compute_capabilities):
        return None
    return f"it was built for compute capability {wanted}, this GPU has {has}"


@cache
def _version(library: str) -> str | None:
    """Read off the name of the package's metadata folder, as importing the library takes sixty times as long.

    None where the library is not installed, or so that it cannot be loaded.
    """
    spec = find_spec(library)
    if spec is None or spec.origin is None:
        return None
    folders = list(Path(spec.origin).parents[1].glob(f"{library}-[0-9]*.dist-info"))
    if len(folders) == 1:
        version = folders[0].name.removesuffix(".dist-info").partition("-")[2]
        return version.partition(".post")[0]  # the package made anew, the library in it the same
    try:
        return str(import_module(library).__version__)
    except (ImportError, OSError, AttributeError):
        return None


def _library_misfits(entry: CompiledEngine, machine: Machine) -> Iterator[str]:
    library, built_by = entry.library, entry.library_version
    if library not in REMEDIES:
        yield f"it is an engine of {shown(library)}, wanted one of {', '.join(REMEDIES)}"
        return
    here = machine.versions.get(library)
    # Only `tensorrt` builds engines that later versions run too.
    is_compatible = library == "tensorrt" and entry.details.get("version_compatible") is True
    if here is None:
        yield f"it needs {library} {built_by}, which is not installed: {REMEDIES[library]}"
    elif here != built_by and not (is_compatible and _numbers(here) >= _numbers(built_by)):
        yield f"it was built by {library} {built_by}, here is {here}"


def _numbers(version: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d{1,9}", version)]


def _covers(wanted: str, has: str) -> bool:
    wants, found = CAPABILITY.fullmatch(wanted), CAPABILITY.fullmatch(has)
    if wants is None or found is None:
        return False
    built_for, here = (int(wants[1]), int(wants[2])), (int(found[1]), int(found[2]))
    return here == built_for or (wants[3] == "+" and here > built_for)
