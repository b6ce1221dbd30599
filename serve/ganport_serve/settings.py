"""Every setting of a server, with its default: safe on a machine that others can reach."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Settings:
    """How a server listens, what it refuses, and how it batches."""

    host: str = "127.0.0.1"  # the address to listen at; the default is reached from this machine alone
    port: int = 8000  # of HTTP; 0 takes a free one
    grpc_port: int | None = 8001  # of gRPC; 0 takes a free one, None opens none
    # what clients send as `Authorization: Bearer ...`; None: no client is asked
    token: str | None = field(default=None, repr=False)
    # what changing the bundle needs in place of `token`; None: `token` serves both
    admin_token: str | None = field(default=None, repr=False)
    # names that `Host` may have beside this machine's own; looked at where there is no token
    allowed_hosts: tuple[str, ...] = ()
    max_count: int = 1024  # images of one request
    max_body: int = 32 * 2**20  # bytes of a request's body
    # bytes that all requests hold together: bodies, what they inflate to, pixels, answers
    max_bodies: int = 256 * 2**20
    max_header: int = 16 * 2**10  # bytes of a request line and its headers
    max_connections: int = 8192  # open connections of HTTP; fewer where the limit on open files asks for it
    max_grpc_connections: int = 1024  # open connections of gRPC; as `max_connections`
    idle_timeout: float = 30.0  # seconds that a connection may stay open without a request's whole head
    body_timeout: float = 30.0  # seconds for a request's body, or a call's message, to arrive
    write_timeout: float = 30.0  # seconds after which a client that reads nothing of its answer is cut
    request_timeout: float = 60.0  # seconds within which an answer is made, where the request does not ask for less
    max_delay: float = 0.002  # seconds that a batch may wait to be filled
    max_queue: int = 1024  # images that may wait
    drain_timeout: float = 30.0  # seconds that accepted requests have to finish when the server stops
