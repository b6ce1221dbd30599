"""Writes a bundle as a Triton model repository, and as KServe's `InferenceService`s.

Two services stand beside the models: the repository on the Triton runtime of KServe, and the bundle on `ganport serve`.
"""

import hashlib
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ganport_runtime
import yaml  # type: ignore[import-untyped]
from ganport_runtime import Bundle
from ganport_runtime.atomic import new_folder
from ganport_runtime.bundle import MANIFEST

from ganport_serve.triton.choices import RepositoryError, TritonChoices
from ganport_serve.triton.model_config import config_text, model_config
from ganport_serve.triton.planning import LeftOut, PlannedModel, plan_models

VERSION = "1"
BUNDLE = "bundle.ganport"
RUNTIME = "ganport_runtime"
STORAGE = "s3://BUCKET/model_repository"  # to be replaced by whoever deploys it
KSERVE_TRITON, KSERVE_GANPORT = "kserve-triton.yaml", "kserve-ganport.yaml"
CORES = 4  # of a container where no number of threads is asked for
CONFIG = "config.pbtxt"
API = "serving.kserve.io/v1beta1"
MOUNT = "/mnt/models"  # where KServe puts what storageUri names
HTTP_PORT = 8080
GIBIBYTES = 4  # of memory for a container


@dataclass(frozen=True)
class Exported:
    """What was written."""

    path: Path  # the repository
    models: tuple[PlannedModel, ...]  # in the order of the backends
    left_out: tuple[LeftOut, ...]  # what the bundle does not allow
    notes: tuple[str, ...]  # what whoever deploys it has to know


def export_repository(
    bundle_path: Path,
    out: Path,
    choices: TritonChoices | None = None,
    *,
    storage_uri: str | None = None,
    overwrite: bool = False,
    on_model: Callable[[str], None] | None = None,
) -> Exported:
    """Write a bundle as a model repository, whole or not at all.

    Raises RepositoryError: `out` is taken, lies in the bundle or cannot be written, or the bundle does not allow what
    was asked for. Raises BundleError: the bundle is missing, malformed or altered. `storage_uri`: where the repository
    will be fetched from, for KServe; None: a name to be replaced.
    """
    chosen = choices or TritonChoices()
    check_apart(out, bundle_path)
    check_destination(out, overwrite=overwrite)
    bundle = Bundle.open(bundle_path)
    models, left_out = plan_models(bundle, chosen)
    place = _named(out)
    try:
        with new_folder(place, overwrite=overwrite) as folder:
            for model in models:
                if on_model is not None:
                    on_model(model.description.name)
                _write_model(folder / model.description.name, bundle, model, chosen)
            _write_services(folder, bundle, models, chosen, storage_uri or STORAGE)
            check_destination(place, overwrite=overwrite)
    except OSError as error:
        raise RepositoryError(f"{out} cannot be written: {error.strerror or error}") from error
    return Exported(out, models, left_out, _notes(models, chosen, storage_uri))


def _write_model(folder: Path, bundle: Bundle, model: PlannedModel, choices: TritonChoices) -> None:
    version = folder / VERSION
    version.mkdir(parents=True)
    (folder / CONFIG).write_text(config_text(model_config(model.description, choices)), encoding="utf-8")
    if model.entry is not None:
        (version / model.description.file).write_bytes(bundle.read(model.entry))
        return
    shutil.copy(Path(__file__).with_name("model.py"), version / model.description.file)
    shutil.copytree(
        Path(ganport_runtime.__file__).parent, version / RUNTIME, ignore=shutil.ignore_patterns("__pycache__")
    )
    _copy_bundle(bundle, version / BUNDLE)


def _copy_bundle(bundle: Bundle, folder: Path) -> None:
    """Copy what the manifest lists, each file as its digest says, without the pictures that lie beside."""
    folder.mkdir()
    document = (bundle.path / MANIFEST).read_bytes()
    if hashlib.sha256(document).hexdigest() != bundle.digest:
        raise RepositoryError(f"{bundle.path / MANIFEST} was altered while it was read; run it again")
    (folder / MANIFEST).write_bytes(document)
    for entry in bundle.files:
        (folder / entry.file).parent.mkdir(parents=True, exist_ok=True)
        (folder / entry.file).write_bytes(bundle.read(entry))


def _write_services(
    folder: Path, bundle: Bundle, models: tuple[PlannedModel, ...], choices: TritonChoices, storage_uri: str
) -> None:
    """Plain files beside the models' folders, which Triton does not look at."""
    name, cores = service_name(bundle.manifest.name), (choices.threads or CORES) * choices.instances
    devices = {model.description.device for model in models}
    device = "cuda" if "cuda" in devices else "cpu"
    service = triton_service(name, storage_uri=storage_uri, device=device, cores=cores)
    (folder / KSERVE_TRITON).write_text(service_text(service), encoding="utf-8")
    carrier = next((model.description.name for model in models if model.entry is None), None)
    if carrier is not None:
        uri = f"{storage_uri.rstrip('/')}/{carrier}/{VERSION}/{BUNDLE}"
        service = ganport_service(name, storage_uri=uri, device=choices.device, cores=cores)
        (folder / KSERVE_GANPORT).write_text(service_text(service), encoding="utf-8")


def _notes(models: tuple[PlannedModel, ...], choices: TritonChoices, storage_uri: str | None) -> tuple[str, ...]:
    notes = [model.note for model in models if model.note]
    has_python = any(model.entry is None for model in models)
    if has_python:
        notes.append("the python models need numpy and an engine, such as onnxruntime, in the server's Python")
    else:
        notes.append(f"no {KSERVE_GANPORT}: it serves the bundle that models of the backend python carry")
    if storage_uri is None:
        notes.append(f"put the repository's address in place of {STORAGE} in kserve-*.yaml, or pass --storage-uri")
    if choices.instances > 1 and choices.threads is None:
        notes.append(f"each of {choices.instances} instances takes all cores for itself; pass --threads to share them")
    return tuple(notes)


def check_destination(out: Path, *, overwrite: bool) -> None:
    """See that a repository may appear at `out` before any work is done for it.

    Raises RepositoryError: something is there, and may not be replaced or is no model repository; or what is above it
    is no folder.
    """
    if not (out.exists() or out.is_symlink()):
        _check_parents(out)
        return
    if not overwrite:
        raise RepositoryError(f"{out} exists; choose another name, or pass --overwrite to replace it")
    if out.is_symlink() or not out.is_dir() or not all(map(_is_ours, out.iterdir())):
        raise RepositoryError(f"{out} is no model repository: it is not overwritten; choose another name")


def check_apart(out: Path, bundle: Path) -> None:
    """See that `out` does not lie in the bundle, of which nothing may be changed.

    Raises RepositoryError: it lies there.
    """
    if bundle.resolve() in out.resolve().parents:
        raise RepositoryError(f"{out} lies in the bundle {bundle}, which is left as it is; choose a place outside it")


def _check_parents(out: Path) -> None:
    there = next(parent for parent in _named(out).parents if parent.exists() or parent.is_symlink())
    if not there.is_dir():
        kind = "a file" if there.is_file() else "no folder"
        raise RepositoryError(f"{out} cannot be written: {there} is {kind}, wanted a folder; choose another place")


def _is_ours(entry: Path) -> bool:
    """Whether an entry of a folder is one that a model repository of ours has: a model, or a file for KServe."""
    if entry.is_dir():
        return (entry / CONFIG).is_file()
    return entry.name.startswith("kserve-") and entry.suffix == ".yaml"


def _named(out: Path) -> Path:
    """The absolute path, with a name of its own; a last part that is a link stays one, so that it is seen."""
    return out.resolve() if out.name in ("", "..") else out.parent.resolve() / out.name


def service_text(service: dict[str, Any]) -> str:
    """YAML, keys in the order in which people write them."""
    return str(yaml.safe_dump(service, sort_keys=False, default_flow_style=False))


def triton_service(name: str, *, storage_uri: str, device: str, cores: int) -> dict[str, Any]:
    """The repository, served by the Triton runtime that KServe brings."""
    model = {
        "modelFormat": {"name": "triton", "version": "2"},
        "runtime": "kserve-tritonserver",
        "protocolVersion": "v2",
        "storageUri": storage_uri,
        "resources": _resources(device, cores),
        "readinessProbe": _readiness(),
    }
    return _service(f"{name}-triton", {"minReplicas": 1, "model": model})


def ganport_service(name: str, *, storage_uri: str, device: str, cores: int) -> dict[str, Any]:
    """The bundle, served by `ganport serve`, which speaks the Open Inference Protocol itself."""
    container = {
        "name": "kserve-container",
        "image": f"REGISTRY/ganport:{ganport_runtime.__version__}",
        "command": ["ganport"],
        "args": ["serve", MOUNT, "--host", "0.0.0.0", "--port", str(HTTP_PORT), "--no-grpc"],
        "env": [
            {"name": "STORAGE_URI", "value": storage_uri},  # KServe fetches it to MOUNT before the container starts
            {"name": "GANPORT_CACHE", "value": "/tmp/ganport"},  # containers of KServe need not have a home
        ],
        "ports": [{"containerPort": HTTP_PORT, "protocol": "TCP"}],
        "resources": _resources(device, cores),
        "readinessProbe": _readiness(),
    }
    return _service(f"{name}-ganport", {"minReplicas": 1, "containers": [container]})


def service_name(bundle_name: str) -> str:
    """A bundle's name as Kubernetes takes it: lower-case letters, digits and hyphens, a letter first."""
    name = re.sub(r"[^a-z0-9]+", "-", bundle_name.lower()).strip("-")[:40].strip("-")
    return name if name[:1].isalpha() else f"gan-{name}".strip("-")


def _service(name: str, predictor: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": API, "kind": "InferenceService", "metadata": {"name": name}, "spec": {"predictor": predictor}}


def _resources(device: str, cores: int) -> dict[str, Any]:
    """As much asked for as allowed: a container that is throttled misses its latency without a word."""
    amount: dict[str, Any] = {"cpu": str(cores), "memory": f"{GIBIBYTES}Gi"}
    if device == "cuda":
        amount["nvidia.com/gpu"] = "1"
    return {"requests": dict(amount), "limits": dict(amount)}


def _readiness() -> dict[str, Any]:
    return {
        "httpGet": {"path": "/v2/health/ready", "port": HTTP_PORT},
        "periodSeconds": 2,
        "timeoutSeconds": 2,
        "failureThreshold": 3,
    }
