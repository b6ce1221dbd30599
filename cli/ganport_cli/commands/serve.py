"""`ganport serve`: a bundle over HTTP and gRPC, for people, scripts and clients of the Open Inference Protocol."""

import gc
import logging
import math
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ganport_cli.plan_options import Backend, BundleArgument, Device, Precision, Threads
from ganport_cli.terminal import Json, print_json

if TYPE_CHECKING:
    from ganport_serve.engine import Engine, Served
    from ganport_serve.metrics import Metrics
    from ganport_serve.server import Address
    from ganport_serve.settings import Settings

TOKEN = "GANPORT_TOKEN"
GARBAGE = 50_000  # new objects after which Python looks for garbage among them; 700 would be 50 requests
PORTS = {"min": 0, "max": 65535}

Host = Annotated[str, typer.Option(help="The address to listen at; 0.0.0.0 is every one of this machine.")]
Port = Annotated[int, typer.Option(**PORTS, help="Of HTTP; 0 takes a free one.")]
GrpcPort = Annotated[int, typer.Option(**PORTS, help="Of gRPC; 0 takes a free one.")]
EngineKind = Annotated[str, typer.Option("--engine", help="local: this process; ray: replicas on Ray Serve.")]
Replicas = Annotated[int | None, typer.Option(min=1, help="How many generators serve; with --engine ray.")]
Delay = Annotated[float, typer.Option(min=0, max=1000, help="How long a batch may wait to be filled.")]
LogFormat = Annotated[str, typer.Option(help="json or text: one event a line on stderr.")]


def serve(
    bundle: BundleArgument,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    grpc_port: GrpcPort = 8001,
    no_grpc: Annotated[bool, typer.Option("--no-grpc", help="Serve HTTP alone.")] = False,
    engine: EngineKind = "local",
    replicas: Replicas = None,
    max_delay_ms: Delay = 2.0,
    max_queue: Annotated[int, typer.Option(min=1, help="Images that may wait; over it, 429.")] = 1024,
    max_count: Annotated[int, typer.Option(min=1, help="Images of one request.")] = 1024,
    max_body_mb: Annotated[float, typer.Option(min=0.001, help="A request's body, in MiB; over it, 413.")] = 32.0,
    request_timeout: Annotated[float, typer.Option(min=0.001, help="Seconds for an answer; over it, 504.")] = 60.0,
    device: Device = "auto",
    precision: Precision = "auto",
    backend: Backend = "auto",
    threads: Threads = None,
    log_format: LogFormat = "text",
    log_requests: Annotated[bool, typer.Option("--log-requests", help="Log every request as an event.")] = False,
    json: Json = False,
) -> None:
    """Serve a bundle until SIGTERM or Ctrl-C; SIGHUP loads it again. With GANPORT_TOKEN set, clients need the token.

    Example: ganport serve emoji.ganport --port 8000
    """
    _check_usage(engine, replicas, log_format, max_count, max_queue)
    for option, number in (("max-delay-ms", max_delay_ms), ("max-body-mb", max_body_mb), ("timeout", request_timeout)):
        _check(math.isfinite(number), f"--{option} is {number}, wanted a finite number")
    opening = {"device": device, "precision": precision, "backend": backend, "threads": threads}
    _check_opening(opening)
    if engine == "ray":
        from ganport_serve.ray_engine.environment import prepare

        prepare()  # before gRPC is imported, which reads its settings then
    from ganport_runtime import Bundle
    from ganport_serve.background import is_left_behind
    from ganport_serve.logs import configure_logs
    from ganport_serve.server import Server
    from ganport_serve.settings import Settings

    settings = Settings(
        host=host,
        port=port,
        grpc_port=None if no_grpc else grpc_port,
        token=_token(),
        max_count=max_count,
        max_body=round(max_body_mb * 2**20),
        request_timeout=request_timeout,
        max_delay=max_delay_ms / 1000,
        max_queue=max_queue,
    )
    Bundle.open(bundle)  # what is wrong at first sight is said before a port is opened
    configure_logs(log_format, debug=log_requests)
    if engine == "ray":
        opening["replicas"] = replicas or 1
    Server(bundle, settings, _maker(engine, bundle, settings, opening)).run(partial(_ready, json=json))
    if is_left_behind():
        _leave()


def _maker(kind: str, bundle: Path, settings: "Settings", opening: dict[str, Any]) -> Callable[["Metrics"], "Engine"]:
    """What makes the engine; the Ray one's libraries are imported for it alone."""

    def make(metrics: "Metrics") -> "Engine":
        if kind == "ray":
            from ganport_serve.ray_engine import RayEngine

            return RayEngine(bundle, settings, metrics, **opening)
        from ganport_serve.local_engine import LocalEngine

        return LocalEngine(bundle, settings, metrics, **opening)

    return make


def _ready(address: "Address", served: "Served", *, json: bool) -> None:
    # What was made until now stays: to look through it again and again for garbage would cost every client its time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE, *gc.get_threshold()[1:])
    if json:
        _print_ready(address, served)


def _print_ready(address: "Address", served: "Served") -> None:
    document = {"url": address.url, "grpc": address.grpc, "bundle": str(served.path), "digest": served.digest}
    print_json(document | {"plans": dict(served.plans), "pid": os.getpid()})
    sys.stdout.flush()  # whoever started it waits for this line


def _leave() -> None:
    """End this process although a thread still loads a bundle that is no longer wanted, which takes seconds."""
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)


def _check_usage(engine: str, replicas: int | None, log_format: str, max_count: int, max_queue: int) -> None:
    _check(engine in ("local", "ray"), f"--engine is {engine!r}, wanted local or ray")
    _check(log_format in ("json", "text"), f"--log-format is {log_format!r}, wanted json or text")
    _check(
        replicas is None or engine == "ray", f"--replicas {replicas} is for --engine ray; the local one is one process"
    )
    _check(
        max_count <= max_queue,
        f"--max-count {max_count} is over --max-queue {max_queue}, so the largest requests would never be accepted",
    )


def _check_opening(opening: dict[str, Any]) -> None:
    from ganport_runtime import InputError
    from ganport_runtime.plan import Request

    try:
        Request(**opening)
    except InputError as error:
        raise typer.BadParameter(f"--{error}") from None


def _token() -> str | None:
    """The token that clients need, from the environment: every user of a machine sees its command lines."""
    token = os.environ.get(TOKEN)
    if token is not None and not (token and token.isascii() and token.isprintable() and " " not in token):
        raise typer.BadParameter(
            f"{TOKEN} is empty or holds spaces or signs that no header can; set another, or unset it"
        )
    return token


def _check(is_right: bool, message: str) -> None:
    if not is_right:
        raise typer.BadParameter(message)
