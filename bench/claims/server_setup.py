"""The processes that `servers.py` measures around one plan, each suspended until its turn.

They are `ganport serve`, LitServe, Triton, the generator without a server, and the load generator.
"""

import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil  # type: ignore[import-untyped]
from ganport_bench.client.grpc import grpc_loop
from ganport_bench.client.loops import closed_loop
from ganport_bench.client.outcome import CHECKED, OK, GoldenImages, Outcome
from ganport_bench.client.processes import NICENESS, ServerProcess, Worker, family, renice
from ganport_bench.client.requests import Endpoint, LitServeEncoder, SeedEncoder
from ganport_bench.effort import OnStep
from ganport_bench.errors import BenchError
from ganport_bench.load.servers import GANPORT, ServerAddress, StartedServer, golden_images, start_ganport
from ganport_bench.records import CACHE
from ganport_bench.timing import Seconds
from ganport_runtime import Generator
from ganport_runtime.batches import TOP

LITSERVE, TRITON = "LitServe", "Triton, python backend"
HTTP, GRPC = "HTTP", "gRPC"
CLIENTS = 64
GRPC_SECONDS = 0.3  # of the check whether a server answers rightly over gRPC
WARM_CALLS = 4
TRITON_MODEL = "ganport_generator"
TRITON_INSTANCES, TRITON_DELAY = 2, 0.005  # seconds

Starter = Callable[[Path, str], AbstractContextManager[StartedServer]]


@contextmanager
def start_litserve(bundle: Path, precision: str) -> Iterator[StartedServer]:
    """LitServe with the best settings that were tried: batches up to the top bucket, seeds as JSON, pixels as bytes."""
    try:
        from litserve_app import SETTINGS
    except ImportError as error:
        raise BenchError(f"{error.name} is not installed: pip install 'ganport[bench]'") from None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = ServerAddress("127.0.0.1", free.getsockname()[1])
    app = str(Path(__file__).with_name("litserve_app.py"))
    command = [sys.executable, app, str(bundle), precision, str(address.port)]
    with ServerProcess(LITSERVE, command, lambda _: _is_healthy(address) or None) as process:
        endpoint = Endpoint(address.host, address.port, LitServeEncoder())
        yield StartedServer(LITSERVE, process.pid, endpoint, settings=SETTINGS)


def _is_healthy(address: ServerAddress) -> bool:
    try:
        return address.get("/health")[0] == OK
    except BenchError:
        return False


@contextmanager
def start_triton(bundle: Path, precision: str) -> Iterator[StartedServer]:
    """The real Triton server with the repository of `ganport export-triton`, whose Python backend runs the same plan.

    Its batcher is woken for a request only if an instance is free at that moment, else within half a second, which one
    instance meets all the time; and with preferred sizes it sends small batches early. Two instances without preferred
    sizes, which wait a little to fill a batch, answered two to four times as many requests as any other settings.

    """
    from ganport_serve.errors import ServeError
    from ganport_serve.triton.choices import TritonChoices
    from ganport_serve.triton.repository import export_repository
    from google.protobuf import text_format  # type: ignore[import-untyped]
    from triton_server import TritonError, running
    from tritonclient.grpc.model_config_pb2 import ModelConfig  # type: ignore[import-untyped]

    choices = TritonChoices(
        backends=("python",), precision=precision, instances=TRITON_INSTANCES, max_delay=TRITON_DELAY
    )
    environment = {CACHE: os.environ[CACHE]} if CACHE in os.environ else {}  # where the tuned plan is found
    settings = {
        "backend": "python",
        "dynamic batching up to": str(TOP),
        "queue delay": f"{TRITON_DELAY:g} s",
        "instances": str(TRITON_INSTANCES),
    }
    with tempfile.TemporaryDirectory(prefix="ganport-triton-") as folder:
        repository = Path(folder, "models")
        try:
            export_repository(bundle, repository, choices)
            path = repository / TRITON_MODEL / "config.pbtxt"
            config = text_format.Parse(path.read_text("utf-8"), ModelConfig())
            config.dynamic_batching.ClearField("preferred_batch_size")
            path.write_text(text_format.MessageToString(config), "utf-8")
            with running(repository, models=[TRITON_MODEL], environment=environment) as triton:
                host, _, port = triton.http.partition(":")
                endpoint = Endpoint(host, int(port), SeedEncoder(TRITON_MODEL, shape=(1, 1)))
                yield StartedServer(TRITON, triton.pid, endpoint, settings=settings)
        except (ServeError, TritonError) as error:
            raise BenchError(str(error)) from None


BASELINES: Mapping[str, Starter] = {LITSERVE: start_litserve, TRITON: start_triton}


@dataclass(frozen=True)
class GeneratorCalls:
    """Calls of the generator in a row."""

    images: int  # of one call
    seconds: Seconds  # of each call, float64 [calls]
    cpu_seconds: float  # of the process during all of them

    @property
    def seconds_per_image(self) -> float:
        """Over all calls."""
        return float(self.seconds.sum()) / (self.images * len(self.seconds))

    @property
    def cpu_us(self) -> float:
        """CPU time of an image, microseconds."""
        return 1e6 * self.cpu_seconds / (self.images * len(self.seconds))


_opened: list[Generator] = []  # in the worker's process


def _open(bundle: str, precision: str) -> tuple[str, str]:
    os.nice(NICENESS)  # as the servers
    generator = Generator.open(bundle, precision=precision, one_plan=True)  # as the servers
    _opened.append(generator)
    return str(generator.plan), generator.plan.precision


def _calls(seconds: float, images: int) -> GeneratorCalls:
    sample = _opened[0].sample
    for seed in range(WARM_CALLS):
        sample(images, seed=seed)
    times, seed, cpu = [time.perf_counter()], WARM_CALLS, time.process_time()
    end = times[0] + seconds
    while times[-1] < end:
        sample(images, seed=seed)
        seed += 1
        times.append(time.perf_counter())
    return GeneratorCalls(images, np.diff(times), time.process_time() - cpu)


@dataclass(frozen=True)
class Setup:
    """Everything that is measured around one plan."""

    asked: str  # the precision that was asked for
    plan: str  # of the generator, as the runtime writes it
    precision: str  # that the plan computes in
    alone: Worker  # the process of the generator without a server
    golden: GoldenImages  # what every answer is compared with
    client: Worker  # the process that makes the load
    servers: Mapping[str, StartedServer]  # by name
    missing: Mapping[str, str]  # servers that could not be started, and why

    @property
    def ganport(self) -> StartedServer:
        """The project's own server."""
        return self.servers[GANPORT]

    def sample(self, seconds: float, images: int = TOP) -> GeneratorCalls:
        """`sample(images)` without a server again and again, with another seed each time."""
        return self.alone(_calls, seconds, images)

    def load(self, server: StartedServer, protocol: str, clients: int, seconds: float) -> Outcome:
        """A closed loop of so many clients."""
        if protocol == HTTP:
            return self.client(closed_loop, server.endpoint, self.golden, clients=clients, seconds=seconds)
        return self.client(grpc_loop, str(server.grpc), self.golden, clients=clients, seconds=seconds)


@contextmanager
def set_up(bundle: Path, asked: str, baselines: Mapping[str, Starter], known: int, on_step: OnStep) -> Iterator[Setup]:
    """Start everything around a bundle's generator; baselines may be missing. `known` seeds' images are compared."""
    servers: dict[str, StartedServer] = {}
    missing: dict[str, str] = {}
    with ExitStack() as stack:
        on_step(f"{asked}: the generator without a server")
        alone = stack.enter_context(Worker("the generator without a server"))
        golden = alone(golden_images, str(bundle), asked, known)
        plan, precision = alone(_open, str(bundle), asked)
        client = stack.enter_context(Worker("the load generator"))
        setup = Setup(asked, plan, precision, alone, golden, client, servers, missing)
        for name, start in {GANPORT: start_ganport, **baselines}.items():
            on_step(f"{asked}: starting {name}")
            try:
                server = stack.enter_context(start(bundle, asked))
                renice(server.pid)
                suspend(server.pid)
                stack.callback(resume, server.pid)  # a suspended process cannot be told to stop
                requests = CHECKED * known  # one answer for each known image
                with awake(server.pid):
                    _must_be_right(client(closed_loop, server.endpoint, golden, clients=CLIENTS, requests=requests))
            except BenchError as error:
                if name == GANPORT:
                    raise
                missing[name] = str(error)
                continue
            try:
                if server.grpc is not None:
                    with awake(server.pid):
                        _must_be_right(setup.load(server, GRPC, CLIENTS, GRPC_SECONDS))
            except BenchError as error:
                missing[f"{name}, {GRPC}"] = str(error)
                server = replace(server, grpc=None)
            servers[name] = server
        yield setup


def _must_be_right(outcome: Outcome) -> None:
    refused = {status: count for status, count in outcome.statuses().items() if status != OK}
    if refused or not outcome.is_right:
        reasons = [f"{count:,} x status {status}" for status, count in refused.items()]
        raise BenchError(f"it does not answer rightly: {'; '.join([*reasons, outcome.faults()]).strip('; ')}")


def cpu_seconds(pid: int) -> float:
    """What a process and its descendants have used so far; as coarse as the system counts, often 10 ms."""
    return _total(pid, lambda process: process.cpu_times().user + process.cpu_times().system)


def resident_bytes(pid: int) -> float:
    """Resident memory of a process and its descendants; shared pages count for each. BenchError if it has ended."""
    return _total(pid, lambda process: process.memory_info().rss)


def _total(pid: int, of: Callable[[psutil.Process], float]) -> float:
    processes, total = family(pid), 0.0
    if not processes:
        raise BenchError(f"the process {pid} that was measured has ended")
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # it ended just now
            total += of(process)
    return total


def suspend(pid: int) -> None:
    """Stop a process and its descendants, so that a server that waits for its turn uses no CPU."""
    for process in family(pid):
        with suppress(psutil.NoSuchProcess):
            process.suspend()


def resume(pid: int) -> None:
    """Let them run again."""
    for process in reversed(family(pid)):
        with suppress(psutil.NoSuchProcess):
            process.resume()


@contextmanager
def awake(pid: int) -> Iterator[None]:
    """Let a suspended process and its descendants run within a block."""
    resume(pid)
    try:
        yield
    finally:
        suspend(pid)
