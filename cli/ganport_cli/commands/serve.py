"""`ganport serve`: a bundle over HTTP and gRPC, for people, scripts and clients of the Open Inference Protocol."""

import gc
import logging
import math
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

    MakeEngine = Callable[[Metrics], Engine]

TOKEN, ADMIN_TOKEN = "GANPORT_TOKEN", "GANPORT_ADMIN_TOKEN"
MAX_COUNT = 1024  # images of one request where it is not given and the queue holds as many
# When Python looks for garbage: after so many new objects, as 700, its own number, would cost throughput.
GARBAGE = (5_000, 10, 10)
PORTS = {"min": 0, "max": 65535}

Host = Annotated[str, typer.Option(help="The address to listen at; 0.0.0.0 is every one of this machine.")]
Port = Annotated[int, typer.Option(**PORTS, help="Of HTTP; 0 takes a free one.")]
GrpcPort = Annotated[int, typer.Option(**PORTS, help="Of gRPC; 0 takes a free one.")]
EngineKind = Annotated[str, typer.Option("--engine", help="local: this process; ray: replicas on Ray Serve.")]
Count = Annotated[
    int | None,
    typer.Option(min=1, help=f"Images of one request; not given: {MAX_COUNT}, or --max-queue where that is less."),
]
Replicas = Annotated[int | None, typer.Option(min=1, help="How many generators serve; with --engine ray.")]
AllowedHost = Annotated[
    list[str] | None,
    typer.Option(help="A name under which clients call this server, where there is no token; may be given again."),
]
Delay = Annotated[float, typer.Option(min=0, max=1000, help="How long a batch may wait to be filled.")]
LogFormat = Annotated[str, typer.Option(help="json or text: one event a line on stderr.")]


def serve(
    bundle: BundleArgument,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    grpc_port: GrpcPort = 8001,
    allowed_host: AllowedHost = None,
    no_grpc: Annotated[bool, typer.Option("--no-grpc", help="Serve HTTP alone.")] = False,
    engine: EngineKind = "local",
    replicas: Replicas = None,
    max_delay_ms: Delay = 2.0,
    max_queue: Annotated[int, typer.Option(min=1, help="Images that may wait; over it, 429.")] = 1024,
    max_count: Count = None,
    max_body_mb: Annotated[
        float, typer.Option(min=0.001, help="A request's body, in MiB; over it, 413. JSON of numbers: 4.")
    ] = 32.0,
    request_timeout: Annotated[float, typer.Option(min=0.001, help="Seconds for an answer; over it, 504.")] = 60.0,
    device: Device = "auto",
    precision: Precision = "auto",
    backend: Backend = "auto",
    threads: Threads = None,
    log_format: LogFormat = "text",
    log_requests: Annotated[bool, typer.Option("--log-requests", help="Log every request as an event.")] = False,
    json: Json = False,
) -> None:
    """Serve a bundle until SIGTERM or Ctrl-C. With GANPORT_TOKEN set, clients need the token.

    POST /admin/bundle needs GANPORT_ADMIN_TOKEN, or GANPORT_TOKEN where there is no other.
    SIGHUP loads the command line's bundle again, also where POST /admin/bundle has put another in its place.

    Example: ganport serve emoji.ganport --port 8000
    """
    max_count = min(MAX_COUNT, max_queue) if max_count is None else max_count
    _check_usage(engine, replicas, log_format, max_count, max_queue)
    _check(
        port == 0 or no_grpc or port != grpc_port,
        f"--port and --grpc-port are both {port}; name another for one of them, or --no-grpc",
    )
    numbers = {"--max-delay-ms": max_delay_ms, "--max-body-mb": max_body_mb, "--request-timeout": request_timeout}
    for option, number in numbers.items():
        _check(math.isfinite(number), f"{option} is {number}, wanted a finite number")
    with early_signals() as is_told_to_end:
        opening = {"device": device, "precision": precision, "backend": backend, "threads": threads}
        _check_opening(opening)
        if engine == "ray":
            from ganport_serve.ray_engine.environment import prepare

            prepare()  # before gRPC is imported, which reads its settings then
            opening["replicas"] = replicas or 1
        from ganport_serve.settings import Settings

        settings = Settings(
            host=host,
            port=port,
            grpc_port=None if no_grpc else grpc_port,
            token=_token(TOKEN),
            admin_token=_token(ADMIN_TOKEN),
            allowed_hosts=tuple(allowed_host or ()),
            max_count=max_count,
            max_body=round(max_body_mb * 2**20),
            request_timeout=request_timeout,
            max_delay=max_delay_ms / 1000,
            max_queue=max_queue,
        )
        from ganport_runtime import Bundle
        from ganport_serve.listening import allow_files
        from ganport_serve.logs import configure_logs

        Bundle.open(bundle)  # what is wrong at first sight is said before a port is opened
        configure_logs(log_format, debug=log_requests)
        allow_files(settings.max_connections + settings.max_grpc_connections)
        _run(bundle, settings, _maker(engine, bundle, settings, opening), is_told_to_end, json=json)


def _run(
    bundle: Path, settings: "Settings", make: "MakeEngine", is_told_to_end: Callable[[], bool], *, json: bool
) -> None:
    from ganport_serve.bundles import is_loading
    from ganport_serve.server import Server

    server = Server(bundle, settings, make)

    def listening(_: "Address") -> None:
        if is_told_to_end():  # before the server's own loop heard of signals
            server.stop()

    try:
        server.run(partial(_ready, json=json), listening)
    finally:
        logging.getLogger().handlers[0].flush()  # before what the command says of an error
    if is_loading():  # a thread still loads a bundle that is no longer wanted, which takes seconds
        sys.stdout.flush()
        os._exit(0)


def _maker(kind: str, bundle: Path, settings: "Settings", opening: dict[str, Any]) -> "MakeEngine":
    def make(metrics: "Metrics") -> "Engine":
        if kind == "ray":
            from ganport_serve.ray_engine import RayEngine

            return RayEngine(bundle, settings, metrics, **opening)
        from ganport_serve.bundles import LocalEngine

        return LocalEngine(bundle, settings, metrics, **opening)

    return make


def _ready(address: "Address", served: "Served", *, json: bool) -> None:
    # What was made until now stays: to look through it again and again for garbage would cost every client its time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE)
    if json:
        document = {"url": address.url, "grpc": address.grpc, "bundle": str(served.path), "digest": served.digest}
        print_json(document | {"plans": dict(served.plans), "pid": os.getpid()})
        sys.stdout.flush()  # whoever started it waits for this line


def _check_usage(engine: str, replicas: int | None, log_format: str, max_count: int, max_queue: int) -> None:
    _check(engine in ("local", "ray"), f"--engine is {engine!r}, wanted local or ray")
    _check(log_format in ("json", "text"), f"--log-format is {log_format!r}, wanted json or text")
    _check(
        replicas is None or engine == "ray", f"--replicas {replicas} is for --engine ray; the local one is one process"
    )
    _check(
        max_count <= max_queue,
        f"--max-count {max_count} is over --max-queue {max_queue}, so the largest requests would never be accepted; "
        "lower --max-count or raise --max-queue",
    )


def _check_opening(opening: dict[str, Any]) -> None:
    from ganport_runtime import InputError
    from ganport_runtime.plan import PlanRequest

    try:
        PlanRequest(**opening)
    except InputError as error:
        raise typer.BadParameter(f"--{error}") from None


def _token(name: str) -> str | None:
    """A token from the environment: every user of a machine sees its command lines."""
    token = os.environ.get(name)
    if token is not None and not (token and token.isascii() and token.isprintable() and " " not in token):
        raise typer.BadParameter(f"{name} is empty or holds signs that no header can; set another, or unset it")
    return token


def _check(is_right: bool, message: str) -> None:
    if not is_right:
        raise typer.BadParameter(message)


@contextmanager
def early_signals() -> Iterator[Callable[[], bool]]:
    """Pass over SIGHUP, and remember SIGTERM, until an event loop takes both; lends what says whether it has come."""
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # which alone hears of signals
        yield lambda: False
        return
    # a function that does nothing, not SIG_IGN: that one would be left to every process started from here
    before = {
        signal.SIGHUP: signal.signal(signal.SIGHUP, lambda *_: None),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda number, _: came.append(number)),
    }
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
