"""Writes a bundle as a Triton model repository."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import ganport_runtime
from ganport_runtime import Bundle
from ganport_runtime.bundle import MANIFEST

from ganport_serve.triton import kserve
from ganport_serve.triton.choices import Choices
from ganport_serve.triton.destination import CONFIG, check_apart, check_destination, writing_folder
from ganport_serve.triton.errors import RepositoryError
from ganport_serve.triton.model_config import config_text, model_config
from ganport_serve.triton.planning import LeftOut, PlannedModel, plan_models

__all__ = ["Exported", "export_repository"]

VERSION = "1"
BUNDLE = "bundle.ganport"
RUNTIME = "ganport_runtime"
STORAGE = "s3://BUCKET/model_repository"  # to be replaced by whoever deploys it
KSERVE_TRITON, KSERVE_GANPORT = "kserve-triton.yaml", "kserve-ganport.yaml"
CORES = 4  # of a container where no number of threads is asked for


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: the repository.
        models: in the order of the backends.
        left_out: what the bundle does not allow.
        notes: what whoever deploys it has to know.
    """

    path: Path
    models: tuple[PlannedModel, ...]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]


def export_repository(
    bundle_path: Path,
    out: Path,
    choices: Choices | None = None,
    *,
    storage_uri: str | None = None,
    overwrite: bool = False,
    on_model: Callable[[str], None] | None = None,
) -> Exported:
    """Write a bundle as a model repository, whole or not at all.

    Args:
        bundle_path: the bundle's directory.
        out: the repository's directory, which must not be there.
        choices: which models, and how they are run.
        storage_uri: where the repository will be fetched from, for KServe; None: a name to be replaced.
        overwrite: whether a model repository at `out` may be replaced.
        on_model: told the name of each model as its files are written.

    Raises:
        RepositoryError: `out` is taken, lies in the bundle or cannot be written, or the bundle does not allow what was
            asked for.
        BundleError: the bundle is missing, malformed or altered.
    """
    chosen = choices or Choices()
    check_apart(out, bundle_path)
    check_destination(out, overwrite=overwrite)
    bundle = Bundle.open(bundle_path)
    models, left_out = plan_models(bundle, chosen)
    with writing_folder(out, overwrite=overwrite) as aside:
        for model in models:
            if on_model is not None:
                on_model(model.description.name)
            _write_model(aside / model.description.name, bundle, model, chosen)
        _write_services(aside, bundle, models, chosen, storage_uri or STORAGE)
    return Exported(out, models, left_out, _notes(models, chosen, storage_uri))


def _write_model(folder: Path, bundle: Bundle, model: PlannedModel, choices: Choices) -> None:
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
    folder: Path, bundle: Bundle, models: tuple[PlannedModel, ...], choices: Choices, storage_uri: str
) -> None:
    """Plain files beside the models' folders, which Triton does not look at."""
    name, cores = kserve.service_name(bundle.manifest.name), (choices.threads or CORES) * choices.instances
    devices = {model.description.device for model in models}
    device = "cuda" if "cuda" in devices else "cpu"
    service = kserve.triton_service(name, storage_uri=storage_uri, device=device, cores=cores)
    (folder / KSERVE_TRITON).write_text(kserve.service_text(service), encoding="utf-8")
    carrier = next((model.description.name for model in models if model.entry is None), None)
    if carrier is not None:
        uri = f"{storage_uri.rstrip('/')}/{carrier}/{VERSION}/{BUNDLE}"
        service = kserve.ganport_service(name, storage_uri=uri, device=choices.device, cores=cores)
        (folder / KSERVE_GANPORT).write_text(kserve.service_text(service), encoding="utf-8")


def _notes(models: tuple[PlannedModel, ...], choices: Choices, storage_uri: str | None) -> tuple[str, ...]:
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
