"""So many clients, each of which sends its next request when it has the answer to its last one."""

import time

from ganport_bench.serving.client import PATIENCE, Client
from ganport_bench.serving.exchange import Endpoint
from ganport_bench.serving.expected import Expected
from ganport_bench.serving.outcome import Outcome

__all__ = ["MOST", "closed_loop"]

MOST = 2_000_000  # requests, 52 MB of notes


def closed_loop(
    endpoint: Endpoint,
    expected: Expected,
    *,
    clients: int,
    seconds: float = float("inf"),
    requests: int = MOST,
    patience: float = PATIENCE,
) -> Outcome:
    """Load a server until the time is over or the requests are sent, whichever is first; then every answer is awaited.

    A slow answer delays its client's next request, so a server that stands still for a moment is asked less meanwhile:
    for what people would have waited, see `open_loop`.

    Args:
        endpoint: who is asked.
        expected: what is asked for and must be answered.
        clients: connections, each with one request in the air at all times.
        seconds: for how long requests are sent.
        requests: how many are sent at most.
        patience: seconds without any answer after which the missing ones are lost.

    Raises:
        BenchError: nobody listens there, or not anymore.
    """
    with Client(endpoint, expected, clients, patience) as client:
        end = client.begun + seconds
        for connection in client.idle[:requests]:
            client.send(connection)
        while client.in_the_air or (client.sent < requests and time.perf_counter() < end):
            for connection in client.poll(patience):
                if client.sent < requests and time.perf_counter() < end:
                    client.send(connection)
        return client.outcome()
