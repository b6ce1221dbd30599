"""The server's log: one event a line on stderr, as JSON for machines or as text for people.

A thread writes it, so that a reader of stderr that stalls stops neither the server nor its end; what it does not read
is dropped and counted.
"""

import json
import logging
import os
import queue
import sys
import threading
import time
from typing import Any

OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
LONGEST_QUEUE = 10_000  # events
LAST_LINES = 1.0  # seconds that the last lines have at the end of the process


def configure_logs(log_format: str, *, debug: bool = False) -> "LogWriter":
    """Send every event of this process to stderr; of other libraries' only warnings and worse.

    `debug`: whether each request is an event too, which costs it some tens of microseconds.
    """
    writer = LogWriter(sys.stderr.fileno())
    writer.setFormatter(FORMATS[log_format]())
    logging.basicConfig(handlers=[writer], level=logging.WARNING, force=True)
    logging.getLogger("ganport_serve").setLevel(logging.DEBUG if debug else logging.INFO)
    return writer


class LogWriter(logging.Handler):
    """Hands lines to a thread that writes them to a file descriptor. `lost`: events that were dropped."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self.lost, self._told = 0, 0
        self._descriptor = descriptor
        self._lines: queue.Queue[bytes] = queue.Queue(LONGEST_QUEUE)
        threading.Thread(target=self._write, name="ganport-log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue an event; drop it where the queue is full."""
        try:
            self._lines.put_nowait(self.format(record).encode(errors="replace") + b"\n")
        except queue.Full:
            self.lost += 1

    def flush(self) -> None:
        """Wait until everything is written, but not for long."""
        end = time.monotonic() + LAST_LINES
        while self._lines.unfinished_tasks and time.monotonic() < end:
            time.sleep(0.001)

    def _write(self) -> None:
        while True:
            self._put(self._lines.get())
            self._lines.task_done()
            if (lost := self.lost - self._told) and self._lines.qsize() < LONGEST_QUEUE // 2:
                self._told += lost
                record = logging.makeLogRecord({"levelno": logging.WARNING, "levelname": "WARNING"})
                vars(record).update(msg="events were lost, since stderr was not read", lost=lost)
                self._put(self.format(record).encode() + b"\n")

    def _put(self, line: bytes) -> None:
        """Write past Python's own file: its lock would be held by this thread at the end of the process."""
        try:
            while line:
                line = line[os.write(self._descriptor, line) :]
        except OSError:
            self.lost += 1


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps({**_head(record), **_fields(self, record)}, default=str, ensure_ascii=False)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        words = [f"{name}={json.dumps(value, default=str)}" for name, value in _fields(self, record).items()]
        return " ".join([*map(str, _head(record).values()), *words])


def _head(record: logging.LogRecord) -> dict[str, str]:
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    event = " ".join(record.getMessage().split())
    return {"time": f"{moment}.{int(record.msecs):03}Z", "level": record.levelname.lower(), "event": event}


def _fields(formatter: logging.Formatter, record: logging.LogRecord) -> dict[str, Any]:
    fields = {name: value for name, value in vars(record).items() if name not in OF_EVERY_RECORD}
    if record.exc_info:
        fields["traceback"] = formatter.formatException(record.exc_info)
    return fields


FORMATS: dict[str, type[logging.Formatter]] = {"json": _Json, "text": _Text}
