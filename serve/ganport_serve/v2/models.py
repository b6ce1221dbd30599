"""The two models as the protocol sees them: tensors, what a request may declare, and what describes them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np
from ganport_runtime import __version__
from ganport_runtime.errors import shown

from ganport_serve.engine import Served
from ganport_serve.errors import UnknownModelError, no_discriminator
from ganport_serve.refusals import bad_field
from ganport_serve.service import Service

PLATFORM = "ganport"
EXTENSIONS = ("binary_tensor_data", "model_configuration", "statistics")
VERSION = "1"
ANY = -1  # the protocol's sign for a dimension that a request chooses
# tensors travel in little-endian order, whatever the machine
DTYPES: Mapping[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
INTEGERS = ("UINT64", "UINT32", "UINT16", "UINT8", "INT64", "INT32", "INT16", "INT8")


def dtype_of(datatype: str, field: str) -> np.dtype[Any]:
    """The numpy dtype of a datatype."""
    if datatype in ("BYTES", "BF16"):
        raise bad_field(field, f"{field} is {datatype}, which no model here takes; wanted one of {', '.join(DTYPES)}")
    dtype = DTYPES.get(datatype)
    if dtype is None:
        raise bad_field(field, f"{field} is {shown(datatype)}, wanted one of {', '.join(DTYPES)}")
    return dtype


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a model."""

    name: str  # of the tensor
    datatypes: tuple[str, ...]  # those that are taken; the first is the one that metadata names
    shape: tuple[int, ...]  # `ANY` where the request chooses
    optional: bool = False  # whether a request may leave it out

    def fits(self, shape: Sequence[int]) -> bool:
        """Whether a tensor may have this shape: of one row or more."""
        if len(shape) != len(self.shape):
            return False
        return all(
            given > 0 if wanted == ANY else given == wanted for given, wanted in zip(shape, self.shape, strict=True)
        )

    @property
    def wanted(self) -> str:
        """Its shape as people read it."""
        return f"[{', '.join('n' if size == ANY else str(size) for size in self.shape)}]"


@dataclass(frozen=True, slots=True)
class Declared:
    """An input tensor as a request declares it."""

    name: str  # of the tensor
    datatype: str  # the protocol's name
    shape: tuple[int, ...]  # numbers of 0 or more
    field: str  # where it stands in the request: `inputs[0]`


@dataclass(frozen=True, eq=False)  # compared and hashed as itself, since caches look it up with every request
class Model:
    """One model."""

    name: str  # `generator` or `discriminator`
    inputs: tuple[TensorSpec, ...]  # every tensor that it takes
    outputs: tuple[TensorSpec, ...]  # every tensor that it gives
    # sets of inputs that make a whole request: those that must be there, then those that may
    choices: tuple[tuple[frozenset[str], frozenset[str]], ...]
    wanted: str  # the same in words

    def admit(self, tensors: Sequence[Declared]) -> None:
        """Check what a request declares: names, datatypes, shapes, and that it is one whole request."""
        names: set[str] = set()
        for tensor in tensors:
            if tensor.name in names:
                raise bad_field(f"{tensor.field}.name", f"the input {shown(tensor.name)} is given twice, wanted once")
            names.add(tensor.name)
            self._admit(tensor)
        if not any(needed <= names <= needed | allowed for needed, allowed in self.choices):
            given = " and ".join(sorted(names)) or "none"
            raise bad_field("inputs", f"the inputs are {given}, wanted {self.wanted}")

    def outputs_named(self, names: Sequence[str]) -> tuple[TensorSpec, ...]:
        """The outputs that a request asks for; all where it names none."""
        known = {spec.name: spec for spec in self.outputs}
        for index, name in enumerate(names):
            if name not in known:
                raise bad_field(
                    f"outputs[{index}].name", f"there is no output {shown(name)}, wanted {' or '.join(known)}"
                )
            if name in names[:index]:
                raise bad_field(f"outputs[{index}].name", f"the output {shown(name)} is asked for twice, wanted once")
        return tuple(known[name] for name in names) if names else self.outputs

    def _admit(self, tensor: Declared) -> None:
        spec = next((spec for spec in self.inputs if spec.name == tensor.name), None)
        if spec is None:
            known = ", ".join(spec.name for spec in self.inputs)
            raise bad_field(
                f"{tensor.field}.name", f"{self.name} has no input {shown(tensor.name)}, wanted one of {known}"
            )
        dtype_of(tensor.datatype, f"{tensor.field}.datatype")
        if tensor.datatype not in spec.datatypes:
            wanted = " or ".join(spec.datatypes)
            raise bad_field(f"{tensor.field}.datatype", f"{spec.name} is {tensor.datatype}, wanted {wanted}")
        if not spec.fits(tensor.shape):
            given = shown(list(tensor.shape))
            raise bad_field(f"{tensor.field}.shape", f"the shape of {spec.name} is {given}, wanted {spec.wanted}")


def models(served: Served) -> Mapping[str, Model]:
    """The models of a bundle by name: `generator`, and `discriminator` where it has one."""
    return _models(served.latent_dim, served.image_shape, served.feature_dim)


def named(served: Served, name: str, version: str | None) -> Model:
    """The model of this name; no version means the only one.

    Raises UnknownModelError: there is no such model or version.
    """
    found = models(served)
    model = found.get(name)
    if model is None:
        if name == "discriminator":
            raise no_discriminator(served.name)
        raise UnknownModelError(f"there is no model {shown(name)}, wanted {' or '.join(found)}")
    if version and version != VERSION:
        raise UnknownModelError(f"{name} has no version {shown(version)}, wanted {VERSION}")
    return model


@lru_cache(maxsize=16)
def _models(latent_dim: int, image_shape: tuple[int, int, int], feature_dim: int | None) -> Mapping[str, Model]:
    image = TensorSpec("image", ("UINT8",), (ANY, *image_shape))
    found = {"generator": _generator(latent_dim, image)}
    if feature_dim is not None:
        found["discriminator"] = _discriminator(feature_dim, image)
    return MappingProxyType(found)


def _generator(latent_dim: int, image: TensorSpec) -> Model:
    inputs = (
        TensorSpec("z", ("FP32",), (ANY, latent_dim), optional=True),
        TensorSpec("seed", INTEGERS, (1,), optional=True),
        TensorSpec("count", ("UINT32", *(name for name in INTEGERS if name != "UINT32")), (1,), optional=True),
        TensorSpec("start", INTEGERS, (1,), optional=True),
    )
    choices = ((frozenset({"z"}), frozenset[str]()), (frozenset({"seed"}), frozenset({"count", "start"})))
    wanted = "either z alone, or seed with an optional count and start"
    return Model("generator", inputs, (image,), choices, wanted)


def _discriminator(feature_dim: int, image: TensorSpec) -> Model:
    outputs = (TensorSpec("logit", ("FP32",), (ANY,)), TensorSpec("features", ("FP32",), (ANY, feature_dim)))
    return Model("discriminator", (image,), outputs, ((frozenset({"image"}), frozenset[str]()),), "image")


class TensorDocument(msgspec.Struct):
    """An input or output; a dimension of -1 is the request's choice."""

    name: str
    datatype: str
    shape: list[int]


class ServerDocument(msgspec.Struct):
    """The server."""

    name: str
    version: str
    extensions: list[str]


class ModelDocument(msgspec.Struct):
    """A model's inputs and outputs."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorDocument]
    outputs: list[TensorDocument]


class ConfigTensor(msgspec.Struct, omit_defaults=True):
    """A tensor as Triton's configuration has it."""

    name: str
    data_type: str
    dims: list[int]
    optional: bool | None = None


class StringValue(msgspec.Struct):
    """A parameter's value."""

    string_value: str


class VersionPolicy(msgspec.Struct):
    """Which versions are served."""

    latest: dict[str, int]


class InstanceGroup(msgspec.Struct):
    """How many engines run a model."""

    name: str
    kind: str
    count: int


class DynamicBatching(msgspec.Struct):
    """How requests are batched."""

    preferred_batch_size: list[int]
    max_queue_delay_microseconds: int


class ConfigDocument(msgspec.Struct):
    """A model as Triton's configuration has it, with the bundle and plan in use among its parameters.

    Its batch size is 0, which says that a request gives whole shapes: one seed may ask for many images.
    """

    name: str
    platform: str
    backend: str
    version_policy: VersionPolicy
    max_batch_size: int
    input: list[ConfigTensor]
    output: list[ConfigTensor]
    instance_group: list[InstanceGroup]
    dynamic_batching: DynamicBatching
    parameters: dict[str, StringValue]


class IndexEntry(msgspec.Struct):
    """A model with its state."""

    name: str
    version: str
    state: str
    reason: str | msgspec.UnsetType = msgspec.UNSET


class IndexRequest(msgspec.Struct):
    """Which models an index lists: those that answer requests, or all."""

    ready: bool = False


class StatisticDuration(msgspec.Struct):
    """How often something happened, and how long it took in all."""

    count: int = 0
    ns: int = 0


class InferenceStatistics(msgspec.Struct):
    """Where time went.

    `success` and `fail` count requests of this protocol; `queue` counts every request's time in the queue, and
    `compute_input` (latents) and `compute_infer` (engine) count batches, so that each mean is ns / count. There is no
    cache, and encoding is not counted by model.
    """

    success: StatisticDuration
    fail: StatisticDuration
    queue: StatisticDuration
    compute_input: StatisticDuration
    compute_infer: StatisticDuration
    compute_output: StatisticDuration = msgspec.field(default_factory=StatisticDuration)
    cache_hit: StatisticDuration = msgspec.field(default_factory=StatisticDuration)
    cache_miss: StatisticDuration = msgspec.field(default_factory=StatisticDuration)


class ModelStatisticsEntry(msgspec.Struct):
    """What one model has done since the server started."""

    name: str
    version: str
    last_inference: int
    inference_count: int
    execution_count: int
    inference_stats: InferenceStatistics
    batch_stats: list[dict[str, int]] = []


class StatisticsDocument(msgspec.Struct):
    """What the models have done."""

    model_stats: list[ModelStatisticsEntry]


def server_document() -> ServerDocument:
    """Name, version and extensions of the server."""
    return ServerDocument(PLATFORM, __version__, list(EXTENSIONS))


def model_document(model: Model) -> ModelDocument:
    """Inputs and outputs of a model."""

    def tensors(specs: Iterable[TensorSpec]) -> list[TensorDocument]:
        return [TensorDocument(spec.name, spec.datatypes[0], list(spec.shape)) for spec in specs]

    return ModelDocument(model.name, [VERSION], PLATFORM, tensors(model.inputs), tensors(model.outputs))


def config_document(service: Service, model: Model) -> ConfigDocument:
    """The model's configuration."""
    served, settings = service.engine.served, service.settings
    said = {"bundle": served.name, "digest": served.digest, "plan": served.plans.get(model.name, "")}
    return ConfigDocument(
        name=model.name,
        platform=PLATFORM,
        backend=PLATFORM,
        version_policy=VersionPolicy({"num_versions": 1}),
        max_batch_size=0,
        input=[ConfigTensor(s.name, f"TYPE_{s.datatypes[0]}", list(s.shape), s.optional) for s in model.inputs],
        output=[ConfigTensor(s.name, f"TYPE_{s.datatypes[0]}", list(s.shape)) for s in model.outputs],
        instance_group=[InstanceGroup(model.name, "KIND_AUTO", service.engine.load().replicas)],
        dynamic_batching=DynamicBatching(list(served.buckets), round(settings.max_delay * 1e6)),
        parameters={key: StringValue(value) for key, value in said.items()},
    )


def repository_index(service: Service, *, ready: bool = False) -> list[IndexEntry]:
    """Every model with its state; with `ready` only those that answer requests."""
    reason = service.engine.refusal()
    if ready and reason is not None:
        return []
    state, why = ("READY", msgspec.UNSET) if reason is None else ("UNAVAILABLE", reason)
    return [IndexEntry(name, VERSION, state, why) for name in models(service.engine.served)]


def statistics(service: Service, asked: Iterable[Model]) -> StatisticsDocument:
    """What was done since the server started."""
    return StatisticsDocument([_statistics(service, model.name) for model in asked])


def _statistics(service: Service, name: str) -> ModelStatisticsEntry:
    counted = service.metrics.models[name]
    found = service.metrics.durations(name)

    def duration(key: str) -> StatisticDuration:
        count, seconds = found[key]
        return StatisticDuration(round(count), round(seconds * 1e9))

    return ModelStatisticsEntry(
        name=name,
        version=VERSION,
        last_inference=counted.last_ms,
        inference_count=counted.rows,
        execution_count=int(found["batch_images"][0]),
        inference_stats=InferenceStatistics(
            success=StatisticDuration(counted.successes, counted.success_ns),
            fail=StatisticDuration(counted.failures, counted.failure_ns),
            queue=duration("queue"),
            compute_input=duration("latents"),
            compute_infer=duration("engine"),
        ),
    )
