"""From an engine's checked bytes to a session: nothing reads them before their digest was seen to be right."""

from collections.abc import Mapping
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

from ganport_runtime.backends import cuda
from ganport_runtime.backends.tensorrt_fit import bucket_profiles
from ganport_runtime.backends.tensorrt_log import log_of
from ganport_runtime.backends.tensorrt_session import TensorRTSession, tensors
from ganport_runtime.entries import Engine
from ganport_runtime.errors import BundleError, PlanError

__all__ = ["checked_bytes", "load_engine"]


def load_engine(model: bytes | Path, entry: Engine, options: Mapping[str, str]) -> TensorRTSession:
    """Deserialize an engine that fits this machine.

    Raises:
        BundleError: the bytes are not those that the manifest names, or their profiles are not.
        PlanError: the library refuses the engine, or the GPU does.
    """
    data = checked_bytes(model, entry)
    library = import_module(entry.library)
    log = log_of(library)
    with cuda.LOCK:
        log.clear()
        runtime = library.Runtime(log)
        note = _validity(library, runtime, data, log)
        # Such an engine holds code for the processor too. It may run like all of the file: its digest was right.
        runtime.engine_host_code_allowed = entry.details.get("version_compatible") is True
        engine = runtime.deserialize_cuda_engine(data)
    if engine is None:
        raise PlanError(f"{library.__name__} cannot load the engine: {log.said('it gives no reason')}")
    _check_profiles(library, engine, entry)
    return TensorRTSession(
        library,
        engine,
        runtime,
        profiles=bucket_profiles(entry),
        precision=entry.precision,
        options=options,
        provider=f"{library.__name__} {library.__version__}{note}",
    )


def checked_bytes(model: bytes | Path, entry: Engine) -> bytes:
    """The engine's bytes, whose digest is right: engines execute code.

    Raises:
        BundleError: it is another.
    """
    data = model if isinstance(model, bytes) else model.read_bytes()
    found = sha256(data).hexdigest()
    if found != entry.sha256:
        raise BundleError(f"tensorrt: its SHA-256 is {found[:12]}..., the manifest says {entry.sha256[:12]}...")
    return data


def _validity(library: Any, runtime: Any, data: bytes, log: Any) -> str:
    """What TensorRT-RTX itself says of an engine here: nothing where it is valid; `tensorrt` cannot be asked.

    Raises:
        PlanError: it is invalid here; the text has every reason.
    """
    if not hasattr(runtime, "get_engine_validity"):
        return ""
    validity, reasons = runtime.get_engine_validity(data)
    if validity == library.EngineValidity.INVALID:
        kinds = library.EngineInvalidityDiagnostics.__members__
        said = [name.lower().replace("_", " ") for name, kind in kinds.items() if int(reasons) & int(kind)]
        raise PlanError(f"{library.__name__} refuses the engine: {', '.join(said) or log.said('it gives no reason')}")
    return ", slower than it could be here" if validity == library.EngineValidity.SUBOPTIMAL else ""


def _check_profiles(library: Any, engine: Any, entry: Engine) -> None:
    """See that every bucket's profile of the record is one of the engine's and takes that batch."""
    for bucket, profile in bucket_profiles(entry).items():
        if profile >= engine.num_optimization_profiles:
            raise BundleError(f"tensorrt: the engine has no profile {profile}, which its record names")
        for tensor in tensors(library, engine, "INPUT"):
            low, _, high = engine.get_tensor_profile_shape(tensor.name, profile)
            if not low[0] <= bucket <= high[0]:
                raise BundleError(f"tensorrt: profile {profile} takes batch {low[0]} to {high[0]}, not {bucket}")
