"""The server's log: one event a line on stderr, as JSON for machines or as text for people."""

import json
import logging
import time
from typing import Any

__all__ = ["FORMATS", "configure_logs"]

OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure_logs(log_format: str, *, debug: bool = False) -> None:
    """Send every event of this process to stderr; of other libraries' only warnings and worse.

    Args:
        log_format: one of `FORMATS`.
        debug: whether each request is an event too, which costs it some tens of microseconds.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(FORMATS[log_format]())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("ganport_serve").setLevel(logging.DEBUG if debug else logging.INFO)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # its warnings are what clients do wrong


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
    """What the event says beside its name, a traceback as one string."""
    fields = {name: value for name, value in vars(record).items() if name not in OF_EVERY_RECORD}
    if record.exc_info:
        fields["traceback"] = formatter.formatException(record.exc_info)
    return fields


FORMATS: dict[str, type[logging.Formatter]] = {"json": _Json, "text": _Text}
