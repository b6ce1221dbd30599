"""The two ways to load a server: clients that wait for their answers, and requests that are due at given times."""

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ganport_bench.client.http import PATIENCE, HttpClient
from ganport_bench.client.outcome import AnswerCheck, Outcome
from ganport_bench.client.requests import Endpoint

MOST_REQUESTS = 2_000_000  # of a closed loop; their log takes 84 MB
TICK = 0.002  # seconds; with one, waking up took a third of what thousands of requests a second cost client and server
LATE_SECONDS = 0.01
LATE_SHARE = 0.01  # of the requests may be sent later than that
NEVER = float("inf")


def closed_loop(
    endpoint: Endpoint,
    check: AnswerCheck,
    *,
    clients: int,
    seconds: float = NEVER,  # for which requests are sent
    requests: int = MOST_REQUESTS,
    patience: float = PATIENCE,
    look_seconds: float = NEVER,  # between two calls of `is_enough`
    is_enough: Callable[[Outcome], bool] = lambda _: False,  # given the outcome so far, whether to stop sending
) -> Outcome:
    """Load a server with clients that each send the next request when the last one is answered.

    It ends when the time is over or the requests are sent, whichever is first; then every answer is awaited. After
    `patience` seconds without any answer, those that are missing are lost. A slow answer delays its client's next
    request, so a server that stalls is asked less meanwhile. For what people would have waited, see `open_loop`.
    Raises BenchError if the server takes no connection.
    """
    with HttpClient(endpoint, check, clients, patience) as client:
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


def open_loop(
    endpoint: Endpoint,
    check: AnswerCheck,
    due: NDArray[np.float64],  # seconds from the start, ascending, float64 [requests]
    *,
    connections: int,  # the most requests in flight
    patience: float = PATIENCE,  # as for a closed loop
    tick: float = TICK,  # seconds between two looks at what is due and what was answered
) -> Outcome:
    """Send every request when it is due, whether or not the server keeps up; then wait for every answer.

    Latency counts from when a request was due, with a resolution of `tick`. If all connections wait for answers, the
    next request is sent late, which shows in its latency and in `slowness`. BenchError as for a closed loop.
    """
    with HttpClient(endpoint, check, connections, patience) as client:
        begun, idle = client.begun, client.idle
        times = [*(begun + due).tolist(), NEVER]
        at = 0
        while client.in_the_air or times[at] < NEVER:
            now = time.perf_counter()
            while idle and times[at] <= now:
                connection = idle.pop()
                if connection.is_closed:  # by the server, because it was idle; another one has replaced it
                    continue
                client.send(connection, times[at])
                at += 1
            time.sleep(tick)
            for connection in client.poll(0.0):
                if times[at] <= time.perf_counter():  # many answers at once must not make others late
                    client.send(connection, times[at])
                    at += 1
                else:
                    idle.append(connection)
        return client.outcome()


def constant(rate: float, seconds: float) -> NDArray[np.float64]:
    """Due times at equal distances, `rate` per second; float64 [rate * seconds]."""
    return np.arange(round(rate * seconds)) / rate


def poisson(rate: float, seconds: float, *, seed: int = 0) -> NDArray[np.float64]:
    """Due times of independent arrivals, `rate` per second on average; float64 [about rate * seconds].

    Given their number, the arrivals of a Poisson process are uniform over the time.
    """
    random = np.random.default_rng(seed)
    return np.sort(random.uniform(0, seconds, random.poisson(rate * seconds)))


def slowness(outcome: Outcome, late_seconds: float = LATE_SECONDS) -> str:
    """Why an open loop is not the load it should have been, or empty: over 1 % was sent later than `late_seconds`.

    If all connections were in use, the server held them up; else the client had too little of the CPU.
    """
    lag = outcome.lag()
    share = float(np.mean(lag > late_seconds)) if len(lag) else 0.0
    if share <= LATE_SHARE:
        return ""
    return (
        f"the load generator fell behind: {share:.1%} of the requests were sent more than {1e3 * late_seconds:.3g} ms "
        f"late, the latest {1e3 * float(lag.max()):.0f} ms, with {outcome.most_in_the_air:,} in the air at most"
    )
