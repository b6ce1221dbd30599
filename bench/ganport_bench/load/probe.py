"""One request before all others, whose refusal is told in the server's own words."""

import socket
from http.client import HTTPException, HTTPResponse

from ganport_bench.errors import BenchError
from ganport_bench.load.opened import Opened
from ganport_bench.serving.outcome import OK

__all__ = ["probe"]

SECONDS = 60.0  # for the first answer, which may have to warm something up
SHOWN = 300  # characters of what a server says


def probe(opened: Opened) -> None:
    """See that a server answers what it will be asked.

    Raises:
        BenchError: it does not, or another image than the one that is known.
    """
    endpoint, judge = opened.endpoint, opened.judge
    seed = judge.seed_of(0)
    try:
        with socket.create_connection((endpoint.host, endpoint.port), SECONDS) as connection:
            connection.sendall(endpoint.exchange.request(seed))
            with HTTPResponse(connection) as answer:
                answer.begin()
                status, body = answer.status, answer.read()
    except (OSError, HTTPException) as error:
        raise BenchError(f"{opened.system} does not answer a request: {error or type(error).__name__}") from None
    if status != OK:
        words = " ".join(body.decode("utf-8", "replace").split())[:SHOWN]
        raise BenchError(f"{opened.system} answers {status} to a request: {words or 'without a word'}")
    fault = judge.fault(seed, body, 0, len(body))
    if fault is not None:
        raise BenchError(f"{opened.system} does not answer rightly: {fault}")
