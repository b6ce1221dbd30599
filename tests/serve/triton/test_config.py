"""The configuration of each model, read back by Triton's own protobuf."""

from pathlib import Path

import onnxruntime  # type: ignore[import-untyped]
import pytest
from ganport_serve.triton.choices import RepositoryError, TritonChoices
from ganport_serve.triton.repository import export_repository
from tritonclient.grpc import model_config_pb2 as schema  # type: ignore[import-untyped]

from tests.serve.triton.repositories import BUCKETS, config_of, make_engine_bundle, tensors_of
from tests.support.bundles import Weights

ONNX_TYPES = {"tensor(float)": "TYPE_FP32", "tensor(uint8)": "TYPE_UINT8"}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Path:
    return export_repository(bundle, tmp_path_factory.mktemp("configs") / "models").path


def test_python_models_take_and_give_what_the_runtime_does(repository: Path) -> None:
    generator, discriminator = (config_of(repository, f"ganport_{role}") for role in ("generator", "discriminator"))
    assert {generator.backend, discriminator.backend} == {"python"}
    assert tensors_of(generator.input) == {
        "z": ("TYPE_FP32", [10]),
        "seed": ("TYPE_UINT64", [1]),
        "index": ("TYPE_UINT64", [1]),
    }
    assert all(tensor.optional for tensor in generator.input)
    assert tensors_of(generator.output) == {"image": ("TYPE_UINT8", [8, 6, 3])}
    assert tensors_of(discriminator.input) == {"image": ("TYPE_UINT8", [8, 6, 3])}
    assert not any(tensor.optional for tensor in discriminator.input)
    assert tensors_of(discriminator.output) == {"logit": ("TYPE_FP32", [1]), "features": ("TYPE_FP32", [5])}


@pytest.mark.parametrize("role", ["generator", "discriminator"])
def test_onnx_models_are_described_as_their_graphs_are(repository: Path, role: str) -> None:
    """By ONNX Runtime, which is the library of Triton's backend as well; one number an image has no dimension of it."""
    config = config_of(repository, f"{role}_onnxruntime")
    assert (config.backend, config.platform) == ("onnxruntime", "onnxruntime_onnx")
    file = repository / config.name / "1" / config.default_model_filename
    session = onnxruntime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
    for described, real in ((config.input, session.get_inputs()), (config.output, session.get_outputs())):
        wanted = {tensor.name: (ONNX_TYPES[tensor.type], tensor.shape[1:]) for tensor in real}
        assert tensors_of(described) == {name: (kind, dims or [1]) for name, (kind, dims) in wanted.items()}
        for tensor in described:
            assert tensor.HasField("reshape") == (not wanted[tensor.name][1])
            assert list(tensor.reshape.shape) == []


def test_every_model_batches_at_the_buckets_and_is_warmed_at_each(repository: Path) -> None:
    models = [folder.name for folder in repository.iterdir() if folder.is_dir()]
    assert len(models) == 4
    for model in models:
        config = config_of(repository, model)
        batching = config.dynamic_batching
        assert (config.name, config.max_batch_size) == (model, 64)
        assert config.version_policy.latest.num_versions == 1
        assert list(batching.preferred_batch_size) == BUCKETS
        assert batching.max_queue_delay_microseconds == 2000
        assert batching.default_queue_policy.max_queue_size == 1024
        assert batching.default_queue_policy.timeout_action == schema.ModelQueuePolicy.REJECT
        assert batching.default_queue_policy.allow_timeout_override
        assert [warmup.batch_size for warmup in config.model_warmup] == BUCKETS
        first = config.input[0]
        for warmup in config.model_warmup:
            ((name, tensor),) = warmup.inputs.items()
            assert (name, tensor.data_type, list(tensor.dims)) == (first.name, first.data_type, list(first.dims))
            assert tensor.zero_data
        (group,) = config.instance_group
        assert (group.kind, group.count, list(group.gpus)) == (schema.ModelInstanceGroup.KIND_CPU, 1, [])


def test_choices_reach_the_configuration(bundle: Path, tmp_path: Path) -> None:
    choices = TritonChoices(device="cuda", instances=3, threads=2, precision="int8", max_delay=0.0005, max_queue=9)
    repository = export_repository(bundle, tmp_path / "models", choices).path
    graph, python = (config_of(repository, name) for name in ("generator_onnxruntime", "ganport_generator"))
    assert graph.parameters["intra_op_thread_count"].string_value == "2"
    settings = {name: parameter.string_value for name, parameter in python.parameters.items()}
    assert settings == {"role": "generator", "precision": "int8", "backend": "auto", "threads": "2"}
    for config in (graph, python):
        (group,) = config.instance_group
        assert (group.kind, group.count, list(group.gpus)) == (schema.ModelInstanceGroup.KIND_GPU, 3, [0])
        assert config.dynamic_batching.max_queue_delay_microseconds == 500
        assert config.dynamic_batching.default_queue_policy.max_queue_size == 9


def test_a_tensorrt_engine_gets_its_buckets_alone(tmp_path: Path, weights: Weights) -> None:
    """Its profiles hold no other batch; without a delay the scheduler makes no other of such requests."""
    bundle = make_engine_bundle(tmp_path / "tensorrt.ganport", weights, "tensorrt")
    exported = export_repository(bundle, tmp_path / "models")
    config = config_of(exported.path, "generator_tensorrt")
    assert (config.backend, config.platform) == ("tensorrt", "tensorrt_plan")
    assert (exported.path / "generator_tensorrt" / "1" / "model.plan").read_bytes() == b"an engine of tensorrt"
    (group,) = config.instance_group
    assert (group.kind, list(group.gpus)) == (schema.ModelInstanceGroup.KIND_GPU, [0])
    assert list(group.profile) == ["0", "1", "2", "3", "4", "5", "6"]
    assert list(config.dynamic_batching.preferred_batch_size) == BUCKETS
    assert config.dynamic_batching.max_queue_delay_microseconds == 0
    assert any("TensorRT 11.4.0" in note and "capability 8.9" in note for note in exported.notes)
    (left_out,) = exported.left_out
    assert str(left_out).startswith("no discriminator for the backend tensorrt: ")


def test_an_engine_of_tensorrt_rtx_is_none_for_triton(tmp_path: Path, weights: Weights) -> None:
    bundle = make_engine_bundle(tmp_path / "rtx.ganport", weights, "tensorrt_rtx")
    exported = export_repository(bundle, tmp_path / "models")
    assert not (exported.path / "generator_tensorrt").exists()
    reasons = {left_out.role: left_out.reason for left_out in exported.left_out}
    assert "tensorrt_rtx, which only its own library loads" in reasons["generator"]
    with pytest.raises(RepositoryError, match=r"no generator for the backend tensorrt: .*tensorrt_rtx"):
        export_repository(bundle, tmp_path / "others", TritonChoices(backends=("tensorrt",)))
    assert not (tmp_path / "others").exists()


def test_an_engine_without_every_bucket_is_left_out(tmp_path: Path, weights: Weights) -> None:
    bundle = make_engine_bundle(tmp_path / "few.ganport", weights, "tensorrt", batches=[1, 8])
    with pytest.raises(RepositoryError, match="has no profile for batch 2, 4, 16, 32, 64"):
        export_repository(bundle, tmp_path / "models", TritonChoices(backends=("tensorrt",)))
