"""Sets what Ray reads from the environment when it is imported: nothing phones home, results travel by gRPC."""

import logging
import os
import secrets
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

ADDRESS = "RAY_ADDRESS"
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_SERVE_LOG_TO_STDERR": "0",
    # half the cost of a call through Ray's object store, which is made for results that outlive their caller
    "RAY_SERVE_USE_GRPC_BY_DEFAULT": "1",
    # Ray's own limit of 4 MiB is less than a top bucket of images of 256 x 256
    "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(2**31 - 1),
    # else gRPC says on stderr of every process that Ray starts that it forks
    "GRPC_ENABLE_FORK_SUPPORT": "0",
}


def is_own() -> bool:
    """Whether no cluster is named, so that a local Ray is to be started."""
    return not os.environ.get(ADDRESS)


def prepare() -> None:
    """Set what is not set already; to be called before the first import of ray and the first use of gRPC."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    if is_own():
        # a local Ray's secret, which would otherwise be written into the home directory and be good for years
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


@contextmanager
def undisturbed() -> Iterator[None]:
    """Import Ray in this block without what the import changes for the whole process.

    Its hook for uncaught errors waits a minute for a cluster that is gone; its log records have a member more.
    """
    hook, factory = sys.excepthook, logging.getLogRecordFactory()
    try:
        yield
    finally:
        sys.excepthook = hook
        logging.setLogRecordFactory(factory)


def keep_signals() -> None:
    """Put back this process' own handlers, before which Ray prints a stack trace, as if ending were a failure."""
    if threading.current_thread() is threading.main_thread():  # no other may
        for number in (signal.SIGTERM, signal.SIGINT):
            handler = signal.getsignal(number)
            if handler is not None:
                signal.signal(number, handler)
