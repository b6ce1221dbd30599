"""Triton's description of a model, built with Triton's own protobuf and printed by it: right by construction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ganport_runtime.backends import Tensor
from ganport_runtime.batches import BUCKETS, TOP
from google.protobuf import text_format  # type: ignore[import-untyped]
from tritonclient.grpc import model_config_pb2 as schema  # type: ignore[import-untyped]

from ganport_serve.triton.choices import TritonChoices

MICROSECONDS = 1_000_000


@dataclass(frozen=True)
class ModelDescription:
    """What differs between the models of a repository."""

    name: str  # of the model and its folder
    backend: str  # of Triton
    file: str  # of a version's folder, which the backend loads
    inputs: Sequence[Tensor]  # with the batch as the first dimension; every one is optional where there are several
    outputs: Sequence[Tensor]  # with the batch as the first dimension
    platform: str = ""  # the older name of the backend, where Triton has one
    device: str = "cpu"  # `cpu` or `cuda`
    parameters: Mapping[str, str] = field(default_factory=dict)  # of the backend
    profiles: Sequence[int] = ()  # numbers of an engine's optimization profiles, one a bucket


def config_text(config: Any) -> str:
    """The text of `config.pbtxt`."""
    return str(text_format.MessageToString(config, use_short_repeated_primitives=True))


def model_config(model: ModelDescription, choices: TritonChoices) -> Any:
    """The `inference.ModelConfig` message of a model."""
    config = schema.ModelConfig(
        name=model.name,
        backend=model.backend,
        platform=model.platform,
        default_model_filename=model.file,
        max_batch_size=TOP,
        version_policy=schema.ModelVersionPolicy(latest=schema.ModelVersionPolicy.Latest(num_versions=1)),
        input=[_input(tensor, optional=len(model.inputs) > 1) for tensor in model.inputs],
        output=[_output(tensor) for tensor in model.outputs],
        instance_group=[_instances(model, choices)],
        dynamic_batching=_batching(model, choices),
        model_warmup=[_warmup(model.inputs[0], bucket) for bucket in BUCKETS],
    )
    for name, value in model.parameters.items():
        config.parameters[name].string_value = value
    return config


def _data_type(tensor: Tensor) -> Any:
    names = {"float32": "TYPE_FP32"}
    return schema.DataType.Value(names.get(tensor.dtype, f"TYPE_{tensor.dtype.upper()}"))


def _dims(tensor: Tensor) -> list[int]:
    return [size for size in tensor.shape if size is not None]


def _input(tensor: Tensor, *, optional: bool) -> Any:
    return schema.ModelInput(
        name=tensor.name, data_type=_data_type(tensor), dims=_dims(tensor), optional=optional or None
    )


def _output(tensor: Tensor) -> Any:
    """An output; one number an image is [n] to the engine and [n, 1] to clients, as Triton knows no empty shape."""
    dims = _dims(tensor)
    reshape = None if dims else schema.ModelTensorReshape(shape=[])
    return schema.ModelOutput(name=tensor.name, data_type=_data_type(tensor), dims=dims or [1], reshape=reshape)


def _instances(model: ModelDescription, choices: TritonChoices) -> Any:
    on_gpu = model.device == "cuda"
    return schema.ModelInstanceGroup(
        kind=schema.ModelInstanceGroup.KIND_GPU if on_gpu else schema.ModelInstanceGroup.KIND_CPU,
        count=choices.instances,
        gpus=[0] if on_gpu else [],
        profile=[str(profile) for profile in model.profiles],
    )


def _batching(model: ModelDescription, choices: TritonChoices) -> Any:
    # an engine that holds each bucket alone must get no other size, and without a delay the scheduler sends no other
    delay = 0 if model.profiles else round(choices.max_delay * MICROSECONDS)
    return schema.ModelDynamicBatching(
        preferred_batch_size=BUCKETS,
        max_queue_delay_microseconds=delay,
        default_queue_policy=schema.ModelQueuePolicy(
            timeout_action=schema.ModelQueuePolicy.REJECT, allow_timeout_override=True, max_queue_size=choices.max_queue
        ),
    )


def _warmup(tensor: Tensor, bucket: int) -> Any:
    """Zeros: random bytes, which Triton would take otherwise, make NaN of floats."""
    zeros = schema.ModelWarmup.Input(data_type=_data_type(tensor), dims=_dims(tensor), zero_data=True)
    return schema.ModelWarmup(name=f"batch_{bucket}", batch_size=bucket, inputs={tensor.name: zeros}, count=1)
