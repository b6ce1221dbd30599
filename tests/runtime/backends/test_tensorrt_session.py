"""How an engine is driven: the order of calls, failures that are noticed, and everything given back.

There is no GPU in it: CUDA is the host's memory, and the engine's results are ONNX Runtime's on the graph that a real
one would be built of. That real engines agree is for the tests marked `gpu`.
"""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ganport_runtime import ClosedError, PlanError
from ganport_runtime.backends import load_backend
from ganport_runtime.backends.protocol import Tensor
from ganport_runtime.backends.tensorrt_session import TensorRTSession
from ganport_runtime.latents import latents
from numpy.typing import NDArray

from tests.support.host_cuda import HostCuda, array_at
from tests.support.typed_graphs import IMAGE, LATENT, source

INPUT, OUTPUT = "INPUT", "OUTPUT"
LIBRARY = SimpleNamespace(
    TensorIOMode=SimpleNamespace(INPUT=INPUT, OUTPUT=OUTPUT),
    ExecutionContextAllocationStrategy=SimpleNamespace(ON_PROFILE_CHANGE="per profile"),
)
BUCKETS = (1, 2, 4)
SHAPES: dict[str, tuple[int, ...]] = {"z": (-1, LATENT), "image": (-1, *IMAGE)}


class Engine:
    """An `ICudaEngine` of one profile a bucket whose contexts note what they are told."""

    num_io_tensors = 2

    def __init__(self, runtime: HostCuda) -> None:
        graph = source("deconv", "fp32")
        self.reference = load_backend("onnxruntime").open(graph.data, entry=graph.variant, device="cpu", threads=1)
        self.runtime = runtime
        self.refusing: str | None = None
        self.capturable = True
        self.events: list[str] = []

    def get_tensor_name(self, index: int) -> str:
        return ("z", "image")[index]

    def get_tensor_mode(self, name: str) -> str:
        return {"z": INPUT, "image": OUTPUT}[name]

    def get_tensor_dtype(self, name: str) -> Any:
        return SimpleNamespace(name={"z": "FLOAT", "image": "UINT8"}[name])

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return SHAPES[name]

    def create_execution_context(self, strategy: str) -> "Context | None":
        assert strategy == "per profile"
        return None if self.refusing == "create" else Context(self)


class Context:
    """An `IExecutionContext`; each method returns False where the engine is told to refuse it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.profile: int | None = None
        self.batch = -1
        self.addresses: dict[str, int] = {}

    def _allowed(self, what: str) -> bool:
        self.engine.events.append(what)
        return self.engine.refusing != what

    def set_optimization_profile_async(self, profile: int, stream: int) -> bool:
        self.profile = profile
        assert stream in self.engine.runtime.streams
        return self._allowed("profile")

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        assert self.profile is not None
        assert (name, shape[1:]) == ("z", (LATENT,))
        self.batch = shape[0]
        return self._allowed("shape")

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (self.batch, *SHAPES[name][1:])

    def set_tensor_address(self, name: str, address: int) -> bool:
        assert address in self.engine.runtime.alive
        self.addresses[name] = address
        return self._allowed("address")

    def is_stream_capturable(self, stream: int) -> bool:
        return self.engine.capturable

    def execute_async_v3(self, stream: int) -> bool:
        self.engine.runtime.streams[stream].put(self._compute)
        return self._allowed("execute")

    def _compute(self) -> None:
        z = array_at(self.addresses["z"], (self.batch, LATENT), np.float32)
        (images,) = self.engine.reference.run(("image",), {"z": z})
        array_at(self.addresses["image"], (self.batch, *IMAGE), np.uint8)[:] = images
        self.engine.events.append("computed")


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> HostCuda:
    return HostCuda.installed(monkeypatch)


@pytest.fixture
def engine(runtime: HostCuda) -> Engine:
    return Engine(runtime)


def session_of(engine: Engine, cuda_graph: str = "on") -> TensorRTSession:
    return TensorRTSession(
        LIBRARY,
        engine,
        runtime=None,
        profiles={bucket: number for number, bucket in enumerate(BUCKETS)},
        precision="fp32",
        options={"cuda_graph": cuda_graph},
        provider="an engine of the test",
    )


def images_of(session: TensorRTSession, z: NDArray[np.float32]) -> NDArray[np.uint8]:
    images: NDArray[np.uint8] = session.run(("image",), {"z": z})[0]
    return images


@pytest.mark.parametrize("cuda_graph", ["on", "off"])
def test_it_computes_what_the_engine_computes_into_arrays_of_the_callers(engine: Engine, cuda_graph: str) -> None:
    session = session_of(engine, cuda_graph)
    assert session.inputs == (Tensor("z", "float32", (None, LATENT)),)
    assert session.outputs == (Tensor("image", "uint8", (None, *IMAGE)),)
    given = [latents(seed, 0, bucket, LATENT) for seed in (1, 2) for bucket in BUCKETS]
    made = [images_of(session, z) for z in given]
    session.close()
    for z, images in zip(given, made, strict=True):
        assert np.array_equal(images, engine.reference.run(("image",), {"z": z})[0])


def test_a_bucket_is_run_plainly_once_then_recorded_then_replayed(engine: Engine, runtime: HostCuda) -> None:
    session = session_of(engine)
    for _ in range(3):
        images_of(session, latents(1, 0, 2, LATENT))
    assert engine.events == [
        "profile", "shape", "address", "address", "execute", "computed",  # once, for the bucket
        "execute",  # recorded, not run
        "computed", "computed", "computed",
    ]  # fmt: skip
    assert runtime.calls.count("cudaGraphLaunch") == 3
    assert runtime.calls.count("cudaMalloc") == 2
    assert runtime.calls.index("cudaStreamSynchronize") < runtime.calls.index("cudaStreamBeginCapture")


def test_without_a_graph_every_batch_is_enqueued(engine: Engine, runtime: HostCuda) -> None:
    session = session_of(engine, "off")
    for _ in range(3):
        images_of(session, latents(1, 0, 2, LATENT))
    assert engine.events.count("execute") == 4
    assert not {"cudaStreamBeginCapture", "cudaGraphLaunch"} & set(runtime.calls)


def test_each_bucket_has_its_own_profile_memory_and_graph(engine: Engine, runtime: HostCuda) -> None:
    session = session_of(engine)
    for bucket in (1, 4, 1, 4):
        images_of(session, latents(1, 0, bucket, LATENT))
    assert engine.events.count("profile") == 2
    assert runtime.calls.count("cudaGraphInstantiate") == 2


def test_closing_gives_everything_back(engine: Engine, runtime: HostCuda) -> None:
    session = session_of(engine)
    for bucket in BUCKETS:
        images_of(session, latents(1, 0, bucket, LATENT))
    assert runtime.alive
    session.close()
    assert not runtime.alive
    session.close()
    with pytest.raises(ClosedError):
        images_of(session, latents(1, 0, 1, LATENT))


@pytest.mark.parametrize(
    ("refusing", "message"),
    [
        ("create", "TensorRT created no execution context"),
        ("profile", "TensorRT did not choose profile 1"),
        ("shape", r"TensorRT did not take z of shape \(2, 8\)"),
        ("address", "TensorRT did not take the address of z"),
        ("execute", "TensorRT did not run the engine"),
    ],
)
def test_a_false_of_tensorrts_is_an_error_and_nothing_is_kept(
    engine: Engine, runtime: HostCuda, refusing: str, message: str
) -> None:
    session = session_of(engine)
    engine.refusing = refusing
    z = latents(1, 0, 2, LATENT)
    with pytest.raises(PlanError, match=message):
        images_of(session, z)
    assert not runtime.alive
    engine.refusing = None
    assert np.array_equal(images_of(session, z), engine.reference.run(("image",), {"z": z})[0])


def test_a_run_that_fails_later_is_an_error_too(engine: Engine) -> None:
    session = session_of(engine, "off")
    images_of(session, latents(1, 0, 2, LATENT))
    engine.refusing = "execute"
    with pytest.raises(PlanError, match="TensorRT did not run the engine"):
        images_of(session, latents(1, 0, 2, LATENT))


def test_a_failure_while_recording_leaves_the_stream_usable(engine: Engine, runtime: HostCuda) -> None:
    session = session_of(engine)
    plain = engine.events.append

    def refuse_the_second(event: str) -> None:
        plain(event)
        if event == "computed":
            engine.refusing = "execute"

    engine.events = Events(refuse_the_second)
    with pytest.raises(PlanError, match="TensorRT did not run the engine"):
        images_of(session, latents(1, 0, 2, LATENT))
    assert runtime.calls.count("cudaStreamEndCapture") == 1
    assert not runtime.alive


class Events(list[str]):
    """A list that tells of what is appended."""

    def __init__(self, tell: Any) -> None:
        super().__init__()
        self.append = tell  # type: ignore[method-assign]


@pytest.mark.parametrize(
    "failing",
    [
        "cudaStreamCreateWithFlags",
        "cudaMalloc",
        "cudaHostAlloc",
        "cudaMemcpyAsync",
        "cudaStreamSynchronize",
        "cudaStreamBeginCapture",
        "cudaStreamEndCapture",
        "cudaGraphInstantiate",
        "cudaGraphLaunch",
    ],
)
def test_an_error_of_cudas_is_told_with_its_name(engine: Engine, runtime: HostCuda, failing: str) -> None:
    session = session_of(engine)
    runtime.failing = {failing}
    with pytest.raises(PlanError, match=f"{failing} failed: cudaErrorOfATest: the test wants it to fail"):
        images_of(session, latents(1, 0, 2, LATENT))
    runtime.failing = set()
    session.close()
    assert not runtime.alive


def test_an_engine_that_cannot_be_recorded_says_what_to_do(engine: Engine) -> None:
    engine.capturable = False
    with pytest.raises(PlanError, match="cannot be recorded as a CUDA graph; open it with cuda_graph off"):
        images_of(session_of(engine), latents(1, 0, 2, LATENT))
    images_of(session_of(engine, "off"), latents(1, 0, 2, LATENT))


def test_a_batch_without_a_profile_is_refused(engine: Engine) -> None:
    with pytest.raises(PlanError, match="the engine has no profile for batch 3, it has 1, 2, 4"):
        images_of(session_of(engine), latents(1, 0, 3, LATENT))
