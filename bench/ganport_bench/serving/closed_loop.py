"""So many clients, each of which sends its next request when it has the answer to its last one."""

import time
from collections.abc import Callable

from ganport_bench.serving.client import PATIENCE, Client
from ganport_bench.serving.exchange import Endpoint
from ganport_bench.serving.expected import Judge
from ganport_bench.serving.outcome import Outcome

__all__ = ["MOST", "closed_loop"]

MOST = 2_000_000  # requests, 84 MB of notes
NEVER = float("inf")


def closed_loop(
    endpoint: Endpoint,
    judge: Judge,
    *,
    clients: int,
    seconds: float = NEVER,
    requests: int = MOST,
    patience: float = PATIENCE,
    look_seconds: float = NEVER,
    is_enough: Callable[[Outcome], bool] = lambda _: False,
) -> Outcome:
    """Load a server until the time is over or the requests are sent, whichever is first; then every answer is awaited.

    A slow answer delays its client's next request, so a server that stands still for a moment is asked less meanwhile:
    for what people would have waited, see `open_loop`.

    Args:
        endpoint: who is asked.
        judge: what is asked for and must be answered.
        clients: connections, each with one request in the air at all times.
        seconds: for how long requests are sent.
        requests: how many are sent at most.
        patience: seconds without any answer after which the missing ones are lost.
        look_seconds: how often `is_enough` is asked.
        is_enough: given what became of the requests so far, whether to send no more.

    Raises:
        BenchError: nobody listens there, or not anymore.
    """
    with Client(endpoint, judge, clients, patience) as client:
        end, look = client.begun + seconds, client.begun + look_seconds
        for connection in client.idle[:requests]:
            client.send(connection)
        while client.in_the_air or (client.sent < requests and time.perf_counter() < end):
            for connection in client.poll(patience):
                if client.sent < requests and time.perf_counter() < end:
                    client.send(connection)
            if (now := time.perf_counter()) >= look:
                look += look_seconds
                end = now if is_enough(client.outcome()) else end
        return client.outcome()
