"""The log: one event a line of JSON, each with its time and level; never the token, never a client's own line break."""

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ganport_serve.logs import FORMATS

from tests.support.http_client import INFER, ask, connected, generate, read_answer, request, seed_request, wait_until
from tests.support.serving import Serving, serving

pytestmark = pytest.mark.slow

TOKEN = "open-sesame-7"
RIGHT: dict[str, Any] = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def server(bundle: Path) -> Iterator[Serving]:
    with serving(bundle, "--log-requests", token=TOKEN) as found:
        yield found


def test_every_line_is_an_event(server: Serving) -> None:
    assert generate(server.port, 1, x_request_id="mine-1", **RIGHT).status == 200
    assert ask(server.port, "GET", "/v1/images/7.png", x_request_id="mine-2", **RIGHT).status == 200
    assert ask(server.port, "GET", "/nope", authorization=f"Bearer {TOKEN}x").status == 401
    assert ask(server.port, "GET", "/a%0Ab%22c", **RIGHT).status == 404
    with connected(server.port) as connection:
        connection.sendall(b"no request\r\n\r\n")
        assert read_answer(connection).status == 400
    wait_until(lambda: any(event.get("path") == '/a\nb"c' for event in server.events()))
    events = server.events()  # each line is a document of its own
    assert all({"time", "level", "event"} <= set(event) for event in events)
    assert [event["event"] for event in events if event["event"] in ("listening", "ready")] == ["listening", "ready"]
    assert all(event["level"] in ("debug", "info", "warning", "error") for event in events)
    requests = {event["request"]: event for event in events if event["event"] == "request"}
    assert requests["mine-2"]["status"] == 200
    assert requests["mine-2"]["route"].startswith("/v1/images/")
    assert requests["mine-2"]["milliseconds"] > 0


def test_requests_of_inference_are_events_too(server: Serving) -> None:
    with connected(server.port) as connection:
        connection.sendall(request("POST", INFER, seed_request(1), x_request_id="mine-3", **RIGHT))
        assert read_answer(connection).status == 200
    wait_until(lambda: any(event.get("request") == "mine-3" for event in server.events()))


def test_the_token_is_nowhere(server: Serving) -> None:
    ask(server.port, "GET", "/v1/status", **RIGHT)
    ask(server.port, "GET", "/v1/status", authorization=f"Basic {TOKEN}")
    server.log.seek(0)
    assert TOKEN not in server.log.read()
    assert TOKEN not in json.dumps(server.document)


def record(message: str, **extra: object) -> logging.LogRecord:
    try:
        raise ValueError("inside")
    except ValueError:
        made = logging.LogRecord("ganport_serve", logging.ERROR, "", 0, message, None, sys.exc_info())
    vars(made).update(extra)
    return made


@pytest.mark.parametrize("log_format", sorted(FORMATS))
def test_a_traceback_stays_in_its_line(log_format: str) -> None:
    line = FORMATS[log_format]().format(record("it\nfailed", path="/a\nb"))
    assert len(line.splitlines()) == 1
    assert "it failed" in line
    assert "ValueError: inside" in line
    if log_format == "json":
        assert json.loads(line)["path"] == "/a\nb"
