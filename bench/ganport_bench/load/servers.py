"""What can be loaded: a bundle, for which a server is started, or a server that runs already.

A server's own times come from the statistics extension of the Open Inference Protocol.
"""

import json
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import SplitResult, quote, urlsplit

from ganport_runtime import Generator

from ganport_bench.client.outcome import OK, AnswerCheck, GoldenImages, Outcome
from ganport_bench.client.processes import NICENESS, ServerProcess, Worker, renice
from ganport_bench.client.requests import (
    ITEM_BYTES,
    Endpoint,
    LitServeEncoder,
    ModelInput,
    RequestEncoder,
    SeedEncoder,
    TensorEncoder,
)
from ganport_bench.effort import OnStep
from ganport_bench.errors import BenchError

MODEL = "generator"
GANPORT = "ganport serve"
LITSERVE = "litserve+http://HOST:PORT"
WANTED = f"http://HOST:PORT of an Open Inference Protocol server, {LITSERVE}, or a bundle"
BY_IMAGES = "every eighth answer is compared with its image bit for bit, the others by status and size"
BY_STATUS = "answers are judged by their status alone"
BINARY = "binary_tensor_data"
KNOWN = 64  # seeds whose images are compared
GET_SECONDS = 30.0
FIRST_SECONDS = 60.0  # for the first answer, before which a server may have to warm up
SHOWN_CHARACTERS = 300  # of what a server says
STAGES = ("queue", "compute_input", "compute_infer", "compute_output")
NANO = 1e-9

Counters = Mapping[str, tuple[int, int]]  # count and nanoseconds of each stage since the server started
# Mean seconds of a request in each stage of the server; 0 where it counted nothing.
ServerTimes = Mapping[str, float]


@dataclass(frozen=True)
class Statistics:
    """Reads a model's counters by `get`, which returns status and document of a path."""

    get: Callable[[str], tuple[int, Any]]
    model: str

    def read(self) -> Counters:
        """The counters of all versions of the model together. Raises BenchError if the server has none."""
        path = f"/v2/models/{quote(self.model, safe='')}/stats"
        status, document = self.get(path)
        if status != OK:
            raise BenchError(f"the server has no statistics: it answers {status} to GET {path}")
        try:
            versions = [version["inference_stats"] for version in document["model_stats"]]
            return {name: _sum(versions, name) for name in STAGES}
        except (KeyError, TypeError, ValueError):
            raise BenchError(f"{path} holds no statistics of the Open Inference Protocol") from None


def _sum(versions: list[Any], name: str) -> tuple[int, int]:
    return sum(int(one[name]["count"]) for one in versions), sum(int(one[name]["ns"]) for one in versions)


def _mean(after: tuple[int, int], before: tuple[int, int]) -> float:
    count = after[0] - before[0]
    return NANO * (after[1] - before[1]) / count if count > 0 else 0.0


@dataclass(frozen=True)
class ReadyServer:
    """A server that is ready to be loaded."""

    system: str  # its name and version
    endpoint: Endpoint  # where and how it is asked
    check: AnswerCheck  # chooses what is asked for, and checks the answers
    judged: str  # how answers are checked, in words
    statistics: Statistics | None = None  # its own counters, or None
    no_statistics: str = ""  # why there are none, or empty
    facts: Mapping[str, str] = field(default_factory=dict)  # model, plan, settings, as far as they are known

    def during(self, load: Callable[[], Outcome]) -> tuple[Outcome, ServerTimes | None]:
        """Run a load, and the means of what the server counted meanwhile.

        Counters are read before and after the whole load only: reading costs the server milliseconds, which would be
        latency.
        """
        if self.statistics is None:
            return load(), None
        before, outcome, after = self.statistics.read(), load(), self.statistics.read()
        return outcome, {name: _mean(after[name], before[name]) for name in STAGES}


class LoadTarget(Protocol):
    """What can be loaded."""

    @property
    def text(self) -> str:
        """Its name in the document."""

    def open(self, on_step: OnStep) -> AbstractContextManager[ReadyServer]:
        """Start it if necessary, and find out how it is asked. Raises BenchError if it cannot be loaded; says why."""


def target_of(text: str, *, model: str = MODEL) -> LoadTarget:
    """The server at an address, or one that is started for a bundle, whose folder is given.

    An address is `http://HOST:PORT` of any server of the Open Inference Protocol, which is asked for `model`, or
    `litserve+http://HOST:PORT/PATH` (default `/predict`). Raises BenchError if `text` is none of these.
    """
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise BenchError(f"{text}: {error}; give {WANTED}") from None
    if parts.scheme == "http":
        if parts.path.strip("/"):
            raise BenchError(f"{text}: give the server alone, {parts.scheme}://{parts.netloc}, and a model by --model")
        return OpenInferenceServer(_address(text, parts), model)
    if parts.scheme == "litserve+http":
        return LitServeServer(_address(text, parts), quote(parts.path) if parts.path.strip("/") else "/predict")
    if "://" in text:
        raise BenchError(f"{text}: {parts.scheme} is not spoken here, only plain http; give {WANTED}")
    if not Path(text).is_dir():
        raise BenchError(f"{text} is no folder; give {WANTED}")
    return ServedBundle(Path(text))


@dataclass(frozen=True)
class ServerAddress:
    """Host and port of an HTTP server."""

    host: str
    port: int

    @property
    def location(self) -> str:
        """`HOST:PORT`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"http://{self.location}"

    def get(self, path: str) -> tuple[int, Any]:
        """Status and JSON document of a GET; None for a body that is no JSON.

        Raises BenchError if no HTTP server answers there.
        """
        connection = HTTPConnection(self.host, self.port, timeout=GET_SECONDS)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            status, body = answer.status, answer.read()
        except (OSError, HTTPException) as error:
            raise BenchError(f"{self} does not answer ({error}): start the server, or give its address") from None
        finally:
            connection.close()
        try:
            return status, json.loads(body)
        except ValueError:
            return status, None


def _address(text: str, parts: SplitResult) -> ServerAddress:
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise BenchError(f"{text}: {error}") from None
    if not host or parts.username is not None or parts.query or parts.fragment:
        raise BenchError(f"{text}: give a server as http://HOST:PORT, without a user, a query or a fragment")
    return ServerAddress(host, 80 if port is None else port)


@dataclass(frozen=True)
class ServedBundle:
    """A bundle for which `ganport serve` is started while it is loaded.

    The server runs at a lower priority: where both want the same core the load generator goes first, or its requests
    would be late.
    """

    bundle: Path  # the bundle
    precision: str = "auto"  # `auto`: the fastest plan known

    @property
    def text(self) -> str:  # noqa: D102
        return f"{GANPORT} {self.bundle}"

    @contextmanager
    def open(self, on_step: OnStep) -> Iterator[ReadyServer]:
        """Make the images that answers are compared with, and start the server."""
        on_step("making the images that answers are compared with")
        with Worker("the generator without a server") as alone:
            golden = alone(golden_images, str(self.bundle), self.precision, KNOWN)
        on_step(f"starting {GANPORT}")
        with start_ganport(self.bundle, self.precision) as started:
            renice(started.pid)
            endpoint = started.endpoint
            statistics, missing = _statistics(ServerAddress(endpoint.host, endpoint.port), MODEL)
            facts = {"plan": started.plan, "niceness": str(NICENESS)}
            yield ReadyServer(GANPORT, endpoint, golden, BY_IMAGES, statistics, missing, facts)


@dataclass(frozen=True)
class StartedServer:
    """A server that was started for a measurement."""

    name: str  # of the system
    pid: int  # of its first process
    endpoint: Endpoint  # for HTTP
    grpc: str | None = None  # host and port of the same protocol over gRPC, or None
    plan: str = ""  # the generator's plan as the server reports it; may be empty
    settings: Mapping[str, str] = field(default_factory=dict)  # that it was started with, beyond its defaults


@contextmanager
def start_ganport(bundle: Path, precision: str) -> Iterator[StartedServer]:
    """`ganport serve` with its default settings, on free ports, without a token.

    Raises BenchError if it does not start.
    """
    options = ["--port", "0", "--grpc-port", "0", "--precision", precision, "--json"]
    command = [sys.executable, "-m", "ganport_cli", "serve", str(bundle), *options]
    with ServerProcess(GANPORT, command, _printed_document, {"GANPORT_TOKEN": None}) as process:
        facts = process.facts
        location = facts["url"].removeprefix("http://")
        host, _, port = location.partition(":")
        endpoint = Endpoint(host, int(port), SeedEncoder(host=location))
        yield StartedServer(GANPORT, process.pid, endpoint, facts["grpc"], facts["plans"]["generator"])


def _printed_document(printed: str) -> dict[str, Any] | None:
    try:
        document: dict[str, Any] = json.loads(printed)
    except ValueError:
        return None
    return document


def golden_images(bundle: str, precision: str, seeds: int) -> GoldenImages:
    """The first image of that many seeds, by the plan that servers run."""
    with Generator.open(bundle, precision=precision, one_plan=True) as generator:
        return GoldenImages([generator.sample(1, seed=seed).tobytes() for seed in range(seeds)])


def _statistics(address: ServerAddress, model: str) -> tuple[Statistics | None, str]:
    statistics = Statistics(address.get, model)
    try:
        statistics.read()
    except BenchError as error:
        return None, str(error)
    return statistics, ""


@dataclass(frozen=True)
class OpenInferenceServer:
    """Any server of version 2 of the Open Inference Protocol, and the model that it is asked for."""

    address: ServerAddress
    model: str

    @property
    def text(self) -> str:  # noqa: D102
        return f"{self.address}, model {self.model}"

    @contextmanager
    def open(self, on_step: OnStep) -> Iterator[ReadyServer]:
        """Ask what it is and how the model is asked."""
        on_step(f"asking {self.address} what it serves")
        what = (
            f"{self.address} is no Open Inference Protocol server: it {{}}; LitServe's address is given as {LITSERVE}"
        )
        server = _metadata(self.address, "/v2", what)
        what = f"{self.address} {{}}: name a model that it serves by --model"
        metadata = _metadata(self.address, f"/v2/models/{quote(self.model, safe='')}", what)
        encoder = _encoder(server, metadata, self.model, self.address.location)
        statistics, missing = _statistics(self.address, self.model)
        by_seed = isinstance(encoder, SeedEncoder)
        yield ReadyServer(
            system=f"{server.get('name', 'unnamed')} {server.get('version', '')}".strip(),
            endpoint=Endpoint(self.address.host, self.address.port, encoder),
            check=AnswerCheck(),
            judged=BY_STATUS,
            statistics=statistics,
            no_statistics=missing,
            facts={"model": self.model, "asked by": "a seed each" if by_seed else "random numbers or zeros"},
        )


@dataclass(frozen=True)
class LitServeServer:
    """A LitServe server that takes `{"seed": 7}` on a path and answers an image's bytes."""

    address: ServerAddress
    path: str

    @property
    def text(self) -> str:  # noqa: D102
        return f"{self.address}{self.path}"

    @contextmanager
    def open(self, on_step: OnStep) -> Iterator[ReadyServer]:  # noqa: ARG002
        """LitServe does not describe what it serves."""
        encoder = LitServeEncoder(self.path, self.address.location)
        endpoint = Endpoint(self.address.host, self.address.port, encoder)
        yield ReadyServer("LitServe", endpoint, AnswerCheck(), BY_STATUS, no_statistics="LitServe counts none")


def _metadata(address: ServerAddress, path: str, what: str) -> Mapping[str, Any]:
    status, document = address.get(path)
    if status in (401, 403):
        raise BenchError(f"{address} answers {status} to GET {path}: it wants a token; load one that asks for none")
    if status != OK or not isinstance(document, dict):
        raise BenchError(what.format(f"answers {status} to GET {path}"))
    return document


def _encoder(server: Mapping[str, Any], metadata: Mapping[str, Any], model: str, host: str) -> RequestEncoder:
    """A seed if the model is ganport's generator, else all of its inputs."""
    is_binary = BINARY in server.get("extensions", ())
    try:
        declared = [(one["name"], one["datatype"], tuple(map(int, one["shape"]))) for one in metadata["inputs"]]
        outputs = {one["name"] for one in metadata["outputs"]}
    except (KeyError, TypeError, ValueError):
        raise BenchError(f"the metadata of {model} does not say what its inputs and outputs are") from None
    inputs = tuple(_input(*one, is_binary=is_binary) for one in declared)
    seed = next((one for one in inputs if one.name == "seed" and one.datatype == "UINT64" and one.size == 1), None)
    if seed is None or "image" not in outputs:
        return TensorEncoder(model, inputs, is_binary, host)
    if is_binary:
        return SeedEncoder(model, seed.shape, host)
    return TensorEncoder(model, (seed,), is_binary, host)


def _input(name: str, datatype: str, shape: Sequence[int], *, is_binary: bool) -> ModelInput:
    if datatype not in ITEM_BYTES:
        raise BenchError(f"the input {name} is {datatype}, wanted one of {', '.join(ITEM_BYTES)}")
    if datatype in ("FP16", "BF16") and not is_binary:
        raise BenchError(f"the input {name} is {datatype}, which JSON cannot carry, and the server has no {BINARY}")
    return ModelInput(name, datatype, tuple(1 if size < 0 else size for size in shape))


def self_test(server: ReadyServer) -> None:
    """Send one request before all others, so that a refusal is reported in the server's own words.

    Raises BenchError if the server does not answer, refuses, or answers with a wrong image.
    """
    endpoint, seed = server.endpoint, server.check.seed_of(0)
    try:
        with socket.create_connection((endpoint.host, endpoint.port), FIRST_SECONDS) as connection:
            connection.sendall(endpoint.encoder.request(seed))
            with HTTPResponse(connection) as answer:
                answer.begin()
                status, body = answer.status, answer.read()
    except (OSError, HTTPException) as error:
        raise BenchError(f"{server.system} does not answer a request: {error or type(error).__name__}") from None
    if status != OK:
        words = " ".join(body.decode("utf-8", "replace").split())[:SHOWN_CHARACTERS]
        raise BenchError(f"{server.system} answers {status} to a request: {words or 'without a word'}")
    fault = server.check.fault(seed, body, 0, len(body))
    if fault is not None:
        raise BenchError(f"{server.system} does not answer rightly: {fault}")
