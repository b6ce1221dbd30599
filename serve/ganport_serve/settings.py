"""Every setting of a server, with its default: safe on a machine that others can reach."""

from dataclasses import dataclass, field

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """How a server listens, what it refuses, and how it batches.

    Attributes:
        host: the address to listen at; the default is reached from this machine alone.
        port: of HTTP; 0 takes a free one.
        grpc_port: of gRPC; 0 takes a free one, None opens none.
        token: what clients send as `Authorization: Bearer ...`; None: no client is asked.
        max_count: images of one request.
        max_body: bytes of a request's body.
        max_bodies: bytes of the bodies of all requests of HTTP that are read part by part; at least `max_body`.
        max_header: bytes of a request line and its headers.
        max_connections: open connections of HTTP.
        header_timeout: seconds for a request's headers to arrive.
        body_timeout: seconds for a request's body to arrive.
        idle_timeout: seconds that a connection may stay open without a request.
        request_timeout: seconds within which an answer is made, where the request does not ask for less.
        max_delay: seconds that a batch may wait to be filled.
        max_queue: images that may wait.
        drain_timeout: seconds that accepted requests have to finish when the server stops.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    grpc_port: int | None = 8001
    token: str | None = field(default=None, repr=False)
    max_count: int = 1024
    max_body: int = 32 * 2**20
    max_bodies: int = 256 * 2**20
    max_header: int = 16 * 2**10
    max_connections: int = 2048
    header_timeout: float = 10.0
    body_timeout: float = 30.0
    idle_timeout: float = 75.0
    request_timeout: float = 60.0
    max_delay: float = 0.002
    max_queue: int = 1024
    drain_timeout: float = 30.0
