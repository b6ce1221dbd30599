"""What a connection of HTTP may take, and how long each of its phases may last."""

import asyncio
from enum import Enum, auto

import uvicorn
from starlette.types import ASGIApp

from ganport_serve.express import Express
from ganport_serve.metrics import Metrics
from ganport_serve.settings import Settings

__all__ = ["Config", "Phase"]

LINGER = 2.0  # seconds that a refused client has to read its answer and to stop sending


class Phase(Enum):
    """What a connection waits for."""

    IDLE = auto()  # a request
    HEAD = auto()  # the rest of its head
    BODY = auto()  # the rest of its body
    ANSWER = auto()  # our own answer
    UNREAD = auto()  # the rest of a body that nobody wants: the answer has been given
    REFUSED = auto()  # the client to go
    CLOSING = auto()  # the client to read what was written


class Config(uvicorn.Config):
    """uvicorn's configuration, with what its protocol does not know.

    Attributes:
        express: takes requests before `app`; None: every request goes to `app`.
        patience: seconds that each phase may last; those left out, any time.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        metrics: Metrics,
        *,
        http: type[asyncio.Protocol],
        express: Express | None,
    ) -> None:
        super().__init__(
            app,
            http=http,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=round(LINGER),
        )
        self.settings, self.metrics, self.express = settings, metrics, express
        self.patience = {
            Phase.IDLE: settings.idle_timeout,
            Phase.HEAD: settings.header_timeout,
            Phase.BODY: settings.body_timeout,
            Phase.UNREAD: LINGER,
            Phase.REFUSED: LINGER,
            Phase.CLOSING: settings.body_timeout,
        }
