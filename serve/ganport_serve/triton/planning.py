"""Chooses the models that a bundle becomes: for each backend of Triton and each role one, or a reason why none."""

from collections.abc import Sequence
from dataclasses import dataclass

from ganport_runtime import Bundle, Discriminator, Generator
from ganport_runtime.backends import Tensor
from ganport_runtime.backends.tensorrt import bucket_profiles
from ganport_runtime.batches import BUCKETS
from ganport_runtime.manifest import CompiledEngine, Entry, Role, Variant
from ganport_runtime.plan import AUTO, PRECISIONS, PREFERRED_FORM

from ganport_serve.triton.choices import BACKENDS, RepositoryError, TritonChoices
from ganport_serve.triton.model_config import ModelDescription

SEEDS = (Tensor("seed", "uint64", (None, 1)), Tensor("index", "uint64", (None, 1)))


@dataclass(frozen=True)
class PlannedModel:
    """A model to write."""

    role: Role  # `generator` or `discriminator`
    description: ModelDescription  # what its configuration says
    entry: Entry | None  # the graph or engine that it runs; None: the whole bundle, by ganport's runtime
    note: str  # what whoever runs it has to know


@dataclass(frozen=True)
class LeftOut:
    """A backend that gets no model of a role, and why."""

    backend: str
    role: Role
    reason: str

    def __str__(self) -> str:
        return f"no {self.role} for the backend {self.backend}: {self.reason}"


def plan_models(bundle: Bundle, choices: TritonChoices) -> tuple[tuple[PlannedModel, ...], tuple[LeftOut, ...]]:
    """The models of a repository, and what is left out.

    Raises RepositoryError: an id is unknown or fits no backend that is wanted, or a backend that was named gets no
    model.
    """
    backends = choices.backends or BACKENDS
    _check_ids(bundle, choices, backends)
    planned = [_plan(bundle, backend, role, choices) for backend in dict.fromkeys(backends) for role in _roles(bundle)]
    models = tuple(one for one in planned if isinstance(one, PlannedModel))
    left_out = tuple(one for one in planned if isinstance(one, LeftOut))
    served = {model.description.backend for model in models}
    missing = [one for one in left_out if choices.backends and one.backend not in served]
    if missing:
        raise RepositoryError("; ".join(map(str, missing)))
    return models, left_out


def _roles(bundle: Bundle) -> tuple[Role, ...]:
    return ("generator",) if bundle.manifest.discriminator is None else ("generator", "discriminator")


def _check_ids(bundle: Bundle, choices: TritonChoices, backends: Sequence[str]) -> None:
    named: dict[tuple[str, Role], str] = {}
    for name in choices.variants:
        homes = [
            (backend, role) for backend in backends for role in _roles(bundle) if name in _ids(bundle, backend, role)
        ]
        if not homes:
            known = {id_ for backend in backends for role in _roles(bundle) for id_ in _ids(bundle, backend, role)}
            there = ", ".join(sorted(known)) or "none"
            raise RepositoryError(
                f"variant {name!r} is none that {' or '.join(backends)} could run; there are: {there}"
            )
        for home in homes:
            if named.setdefault(home, name) != name:
                raise RepositoryError(f"variants {named[home]} and {name} are both for the {home[1]}; name one of them")


def _ids(bundle: Bundle, backend: str, role: Role) -> list[str]:
    return [entry.id for entry in _entries(bundle, backend, role)]


def _entries(bundle: Bundle, backend: str, role: Role) -> list[Entry]:
    kinds = {"onnxruntime": Variant, "tensorrt": CompiledEngine}
    entries = [entry for entry in bundle.entries(role) if isinstance(entry, kinds.get(backend, ()))]
    return [entry for entry in entries if isinstance(entry, Variant) or entry.library == "tensorrt"]


def _plan(bundle: Bundle, backend: str, role: Role, choices: TritonChoices) -> PlannedModel | LeftOut:
    if backend == "python":
        return _python(bundle, role, choices)
    entries = sorted(_entries(bundle, backend, role), key=lambda entry: _preference(bundle, entry))
    entry = next((entry for entry in entries if entry.id in choices.variants), entries[0] if entries else None)
    if isinstance(entry, CompiledEngine):
        return _tensorrt(bundle, role, entry)
    if entry is None:
        return LeftOut(backend, role, _lack_of_engines(bundle, role))
    return _onnxruntime(bundle, role, entry, choices)


def _preference(bundle: Bundle, entry: Entry) -> tuple[int, bool]:
    """As the runtime chooses where nothing was measured: fp32 first, as trained."""
    precisions = (*PRECISIONS, entry.precision)
    return precisions.index(entry.precision), bundle.variant_of(entry).form != PREFERRED_FORM


def _lack_of_engines(bundle: Bundle, role: Role) -> str:
    others = {entry.library for entry in bundle.entries(role) if isinstance(entry, CompiledEngine)}
    if not others:
        return "the bundle holds no engine of it; ganport export --engines tensorrt builds one where there is a GPU"
    found = ", ".join(sorted(others))
    return f"the bundle's engines are of {found}, which only its own library loads; ganport export --engines tensorrt"


def _onnxruntime(bundle: Bundle, role: Role, variant: Variant, choices: TritonChoices) -> PlannedModel:
    inputs, outputs = _tensors(bundle, role)
    parameters = {} if choices.threads is None else {"intra_op_thread_count": str(choices.threads)}
    description = ModelDescription(
        name=f"{role}_onnxruntime",
        backend="onnxruntime",
        platform="onnxruntime_onnx",
        file="model.onnx",
        inputs=inputs,
        outputs=outputs,
        device=choices.device,
        parameters=parameters,
    )
    return PlannedModel(role, description, variant, "")


def _tensorrt(bundle: Bundle, role: Role, engine: CompiledEngine) -> PlannedModel | LeftOut:
    inputs, outputs = _tensors(bundle, role)
    profiles = bucket_profiles(engine)
    missing = [str(bucket) for bucket in BUCKETS if bucket not in profiles]
    if missing:
        return LeftOut("tensorrt", role, f"{engine.id} has no profile for batch {', '.join(missing)}; export it again")
    description = ModelDescription(
        name=f"{role}_tensorrt",
        backend="tensorrt",
        platform="tensorrt_plan",
        file="model.plan",
        inputs=inputs,
        outputs=outputs,
        device="cuda",
        profiles=tuple(profiles[bucket] for bucket in BUCKETS),
    )
    return PlannedModel(role, description, engine, _demands(engine))


def _demands(engine: CompiledEngine) -> str:
    capabilities = ", ".join(engine.compute_capabilities) or "no known one"
    sizes = ", ".join(map(str, BUCKETS))
    return (
        f"{engine.id} wants TensorRT {engine.library_version} in the server and a GPU of compute capability "
        f"{capabilities}, and takes requests of {sizes} images alone"
    )


def _python(bundle: Bundle, role: Role, choices: TritonChoices) -> PlannedModel:
    inputs, outputs = _tensors(bundle, role)
    threads = {} if choices.threads is None else {"threads": str(choices.threads)}
    description = ModelDescription(
        name=f"ganport_{role}",
        backend="python",
        file="model.py",
        inputs=(*inputs, *SEEDS) if role == "generator" else inputs,
        outputs=outputs,
        device=choices.device,
        parameters={"role": role, "precision": choices.precision, "backend": AUTO, **threads},
    )
    return PlannedModel(role, description, None, "")


def _tensors(bundle: Bundle, role: Role) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    network = Generator if role == "generator" else Discriminator
    first, *rest = network.signature(bundle.manifest)
    return (first,), tuple(rest)
