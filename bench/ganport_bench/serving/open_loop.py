"""Requests that are due at times of their own, whether or not the server keeps up: nobody's latency is hidden."""

import time

import numpy as np
from numpy.typing import NDArray

from ganport_bench.serving.client import PATIENCE, Client
from ganport_bench.serving.exchange import Endpoint
from ganport_bench.serving.expected import Judge
from ganport_bench.serving.outcome import Outcome

__all__ = ["LATE_SECONDS", "open_loop", "slowness"]

TICK = 0.002  # seconds; with one, waking up took a third of what thousands of requests a second cost client and server
LATE_SECONDS = 0.01
LATE_SHARE = 0.01  # of the requests may be sent later than that
NEVER = float("inf")


def open_loop(
    endpoint: Endpoint,
    judge: Judge,
    due: NDArray[np.float64],
    *,
    connections: int,
    patience: float = PATIENCE,
    tick: float = TICK,
) -> Outcome:
    """Send every request when it is due; then every answer is awaited.

    Latency counts from when a request was due, with a resolution of `tick`. Where all connections wait for answers,
    the next request is late, which shows in its latency and in `slowness`.

    Args:
        endpoint: who is asked.
        judge: what is asked for and must be answered.
        due: seconds from the beginning, in the order of time, float64 [requests].
        connections: the most requests in the air.
        patience: seconds without any answer after which the missing ones are lost.
        tick: seconds of which what is due or answered is handled together.

    Raises:
        BenchError: nobody listens there, or not anymore.
    """
    with Client(endpoint, judge, connections, patience) as client:
        begun, idle = client.begun, client.idle
        times = [*(begun + due).tolist(), NEVER]
        at = 0
        while client.in_the_air or times[at] < NEVER:
            now = time.perf_counter()
            while idle and times[at] <= now:
                connection = idle.pop()
                if connection.is_closed:  # by the server, for it was idle for long; another one has its place
                    continue
                client.send(connection, times[at])
                at += 1
            time.sleep(tick)
            for connection in client.poll(0.0):
                if times[at] <= time.perf_counter():  # many answers at once shall not make others late
                    client.send(connection, times[at])
                    at += 1
                else:
                    idle.append(connection)
        return client.outcome()


def slowness(outcome: Outcome, late_seconds: float = LATE_SECONDS) -> str:
    """Why the load was not what it was meant to be, or empty: more than 1 % was sent later than `late_seconds`.

    Where all its connections were in the air, the server held them up; else the client had too little of the CPU.
    """
    lag = outcome.lag()
    share = float(np.mean(lag > late_seconds)) if len(lag) else 0.0
    if share <= LATE_SHARE:
        return ""
    return (
        f"the load generator fell behind: {share:.1%} of the requests were sent more than {1e3 * late_seconds:.3g} ms "
        f"late, the latest {1e3 * float(lag.max()):.0f} ms, with {outcome.most_in_the_air:,} in the air at most"
    )
