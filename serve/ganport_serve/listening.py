"""Ports and file descriptors, taken before anything is loaded, so that what is not available is said at once."""

import contextlib
import ipaddress
import logging
import os
import resource
import socket
from collections.abc import Callable
from dataclasses import replace

from ganport_serve.errors import ServeError
from ganport_serve.settings import Settings

log = logging.getLogger(__name__)
BACKLOG = 2048
OTHER_FILES = 256  # descriptors that a server needs beside its connections


def listen(host: str, port: int, write_timeout: float = 0.0) -> socket.socket:
    """A socket that listens, for HTTP.

    Args:
        host: the address.
        port: 0 for any.
        write_timeout: seconds after which the kernel ends connections whose peer takes nothing of what is sent to it,
            and acknowledges nothing; a peer that reads slowly but steadily is not cut. 0: never.

    Raises:
        ServeError: the address is taken or not this machine's.
    """
    try:
        made = _socket(host, port)
    except OSError as error:
        raise _refused("HTTP", host, port, _reason(error), "name another --host or --port") from None
    if write_timeout and hasattr(socket, "TCP_USER_TIMEOUT"):  # connections have it from the listening socket
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(write_timeout * 1000))
    return made


def bind_grpc(add_port: Callable[[str], int], host: str, port: int) -> int:
    """Bind a server of gRPC by its `add_insecure_port` to a port, 0 for any, and return which.

    gRPC itself would share a port with another server of its own kind and say nothing.

    Raises:
        ServeError: the address is taken or not this machine's.
    """
    try:
        with _socket(host, port):
            pass
        return add_port(reachable(host, port, wildcard=True))
    except (OSError, RuntimeError) as error:
        reason = _reason(error) if isinstance(error, OSError) else str(error)
        raise _refused("gRPC", host, port, reason, "name another --host or --grpc-port, or --no-grpc") from None


def _socket(host: str, port: int) -> socket.socket:
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def _reason(error: OSError) -> str:
    """The system's words alone: `create_server` puts the address behind them, and names have numbers of their own."""
    if isinstance(error, socket.gaierror) or error.errno is None:
        return error.strerror or str(error)
    return os.strerror(error.errno)


def _refused(protocol: str, host: str, port: int, reason: str, remedy: str) -> ServeError:
    return ServeError(f"{protocol} cannot listen at {reachable(host, port)}: {reason}; {remedy}")


def reachable(host: str, port: int, *, wildcard: bool = False) -> str:
    """`host:port`, as a client of this machine writes it; with `wildcard` as the server itself has it."""
    address = _address(host)
    if address is not None and address.is_unspecified and not wildcard:
        host = "127.0.0.1" if address.version == 4 else "::1"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether this machine alone reaches it."""
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def allow_files(connections: int) -> None:
    """Raise this process's limit on open files so that so many connections fit; where it cannot be, say so."""
    wanted = connections + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        log.warning("fewer open files than connections", extra={"allowed": allowed, "wanted": wanted})


def within_files(settings: Settings) -> Settings:
    """Settings whose limits on connections fit the limit on open files: a fifth for gRPC, the rest for HTTP."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = max(soft - OTHER_FILES, soft // 2)
    wanted = settings.max_connections + (0 if settings.grpc_port is None else settings.max_grpc_connections)
    if soft == resource.RLIM_INFINITY or wanted <= room:
        return settings
    grpc = 0 if settings.grpc_port is None else min(settings.max_grpc_connections, room // 5)
    http = min(settings.max_connections, room - grpc)
    log.warning("the limit on open files leaves fewer connections", extra={"files": soft, "http": http, "grpc": grpc})
    return replace(settings, max_connections=http, max_grpc_connections=max(1, grpc))


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host)
    return None
