"""Many connections to one server, served by one thread: sends requests, takes answers, notes and checks them."""

import gc
import selectors
import time
from collections.abc import Iterator
from errno import EMFILE, ENFILE
from types import TracebackType
from typing import Self

from ganport_serve.listening import allow_files

from ganport_bench.errors import BenchError
from ganport_bench.serving.connection import BrokenError, Connection
from ganport_bench.serving.exchange import Endpoint
from ganport_bench.serving.expected import Judge
from ganport_bench.serving.outcome import OK, Log, Outcome

__all__ = ["PATIENCE", "Client"]

PATIENCE = 30.0  # seconds without any answer after which those that are missing are lost
clock = time.perf_counter  # monotonic


class Client:
    """Sends one request at a time on each of its connections; to be used as a context manager.

    Args:
        endpoint: who is asked.
        judge: what is asked for and must be answered.
        connections: how many are open.
        patience: seconds without any answer after which the missing ones are lost.

    Attributes:
        idle: connections without a request when the client is entered.
        in_the_air: requests without an answer.

    Raises:
        BenchError: nobody listens there.
    """

    def __init__(self, endpoint: Endpoint, judge: Judge, connections: int, patience: float = PATIENCE) -> None:
        self._endpoint, self._judge, self._patience = endpoint, judge, patience
        self._request, self._seed_of = endpoint.exchange.request, judge.seed_of
        self._log = Log()
        self._selector = selectors.DefaultSelector()
        self.idle: list[Connection] = []
        self.in_the_air = 0
        allow_files(connections)
        try:
            self.idle += [self._connected() for _ in range(connections)]
        except BaseException:
            self.close()
            raise
        self._begun = self._latest = clock()
        self._cpu = time.process_time()

    def __enter__(self) -> Self:
        """Garbage collection pauses while the client works: it would show as latency."""
        gc.collect()
        gc.disable()
        self._begun, self._cpu = clock(), time.process_time()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        gc.enable()
        self.close()

    @property
    def begun(self) -> float:
        """The clock when the client was entered."""
        return self._begun

    @property
    def sent(self) -> int:
        """Requests so far."""
        return len(self._log.sent)

    def send(self, connection: Connection, due: float | None = None) -> None:
        """Send the next request on an idle connection.

        Args:
            connection: idle.
            due: when it was meant to be sent, by the clock; None: now.
        """
        now = clock()
        if not self.in_the_air:
            self._latest = now
        number = self._log.add(now if due is None else due, now)
        connection.number = number
        connection.seed = self._seed_of(number)
        self.in_the_air += 1
        try:
            connection.send(self._request(connection.seed))
        except BrokenError as error:
            self._lose(connection, str(error))
        else:
            self._log.handed[number] = clock()

    def poll(self, timeout: float) -> Iterator[Connection]:
        """Wait for answers for at most `timeout` seconds; each connection as soon as it is idle again.

        Where nothing has come for the client's patience, what is in the air is lost.
        """
        ready = self._selector.select(min(timeout, self._patience))
        if not ready and self.in_the_air and clock() - self._latest >= self._patience:
            yield from self._give_up()
        for key, _ in ready:
            connection: Connection = key.data
            try:
                status = connection.receive()
            except BrokenError as error:
                if connection.number >= 0:
                    self._lose(connection, str(error))
                else:
                    self._unasked(connection, str(error))
                yield self._again(connection)
            else:
                if status:
                    yield self._answered(connection, status)

    def outcome(self) -> Outcome:
        """What became of every request so far."""
        return self._log.outcome(self._begun, clock(), time.process_time() - self._cpu)

    def close(self) -> None:
        """Let go of every connection."""
        for key in list(self._selector.get_map().values()):
            key.data.close()
        self._selector.close()

    def _connected(self) -> Connection:
        where = self._endpoint
        try:
            connection = Connection(where.host, where.port)
        except OSError as error:
            if error.errno in (EMFILE, ENFILE):
                raise BenchError(
                    f"the load generator may open no more than {len(self._selector.get_map()):,} connections here: "
                    "raise the limit of open files (ulimit -n)"
                ) from None
            raise BenchError(f"{where.host}:{where.port} takes no connection: {error}") from None
        self._selector.register(connection, selectors.EVENT_READ, connection)
        return connection

    def _answered(self, connection: Connection, status: int) -> Connection:
        log, number = self._log, connection.number
        if number < 0:
            self._unasked(connection, "an answer that nobody asked for")
            return self._again(connection)
        log.answered[number] = self._latest = clock()
        log.status[number], log.first[number] = status, connection.first
        if status == OK:
            self._check(connection)
        self.in_the_air -= 1
        connection.number = -1
        return connection if connection.stays else self._again(connection)

    def _check(self, connection: Connection) -> None:
        judge = self._judge
        fault = judge.fault(connection.seed, connection.buffer, connection.begin, connection.end)
        if fault is not None:
            self._log.wrong[fault] += 1
        elif judge.is_known(connection.seed):
            self._log.checked += 1

    def _lose(self, connection: Connection, reason: str) -> None:
        self._log.lost[reason] += 1
        self.in_the_air -= 1
        connection.number = -1

    def _unasked(self, connection: Connection, reason: str) -> None:
        if connection.stays and not reason.startswith("closed"):
            self._log.wrong[reason] += 1

    def _again(self, connection: Connection) -> Connection:
        self._selector.unregister(connection)
        connection.close()
        self._log.reconnected += 1
        return self._connected()

    def _give_up(self) -> Iterator[Connection]:
        for key in list(self._selector.get_map().values()):
            if key.data.number >= 0:
                self._lose(key.data, f"no answer within {self._patience:g} s")
                yield self._again(key.data)
