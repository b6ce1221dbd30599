"""Hostile and unlucky clients: the server's memory stays bounded, it lives, and other clients are served meanwhile."""

import contextlib
import gzip
import io
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import numpy as np
import pytest
from ganport_serve.v2 import grpc as grpc_server
from PIL import Image
from tritonclient.grpc import service_pb2 as pb  # type: ignore[import-untyped]

from tests.serve.test_bounds import picture_of_many_parts
from tests.serve.v2.messages import request_of, stub_of
from tests.serve.v2.tensors import Array
from tests.support.bundles import Weights, make_bundle, make_weights
from tests.support.http2 import Http2Connection, message_head
from tests.support.http_client import (
    INFER,
    are_images,
    ask,
    connected,
    generate,
    images_of,
    read_answer,
    request,
    seed_request,
    status_of,
    wait_until,
)
from tests.support.serving import Here, Serving, serving, serving_here

pytestmark = pytest.mark.slow
MIB = 2**20
MOST_GROWTH = 600 * MIB
SLOWEST_LIVENESS = 1.0  # seconds; half of it is what is promised, on a machine that does nothing else
DOWNLOAD = "/v1/images?count=1024&format=npy"  # of 12 MiB


@pytest.fixture(scope="module")
def large_weights() -> Weights:
    return make_weights(latent_dim=8, image=(64, 64, 3), features=4)


@pytest.fixture(scope="module")
def large_bundle(tmp_path_factory: pytest.TempPathFactory, large_weights: Weights) -> Path:
    return make_bundle(tmp_path_factory.mktemp("hostile") / "large.ganport", large_weights)


@pytest.fixture(scope="module")
def server(large_bundle: Path) -> Iterator[Serving]:
    with serving(large_bundle) as found:
        generate(found.port, 1)
        yield found


def resident(server: Serving) -> int:
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class Onlookers:
    """A client that asks for liveness, one that asks for images, and one that looks at the server's memory."""

    def __init__(self, server: Serving, weights: Weights) -> None:
        self._server, self._weights, self._end = server, weights, threading.Event()
        self.slowest = 0.0
        self.images = self.failures = 0
        self.before = self.most = resident(server)
        self._threads = [threading.Thread(target=self._repeat, args=(act,)) for act in (self._live, self._image)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(20)

    def _repeat(self, act: Callable[[], None]) -> None:
        while not self._end.wait(0.03):
            try:
                act()
            except (OSError, AssertionError, KeyError):
                self.failures += 1
            self.most = max(self.most, resident(self._server))

    def _live(self) -> None:
        begun = time.monotonic()
        assert ask(self._server.port, "GET", "/v2/health/live").status == 200
        self.slowest = max(self.slowest, time.monotonic() - begun)

    def _image(self) -> None:
        assert are_images(images_of(generate(self._server.port, self.images)), self._weights, self.images)
        self.images += 1


@contextmanager
def onlookers(server: Serving, weights: Weights) -> Iterator[Onlookers]:
    watch = Onlookers(server, weights)
    watch.start()
    try:
        yield watch
        time.sleep(0.2)
    finally:
        watch.stop()
    seen = (watch.images, watch.failures, round(watch.slowest, 2), (watch.most - watch.before) // MIB)
    print("images, failures, slowest liveness, growth in MiB:", seen)
    assert watch.failures == 0, seen
    assert watch.images > 0, seen
    assert watch.slowest < SLOWEST_LIVENESS, seen
    assert watch.most - watch.before < MOST_GROWTH, seen


def at_once(count: int, act: Callable[[int], object]) -> None:
    """Let so many clients act at once; what becomes of them does not matter."""

    def run(number: int) -> None:
        with contextlib.suppress(OSError, KeyError, ValueError, AssertionError):
            act(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


def everything(connection: socket.socket) -> bytes:
    """What the server says to its end."""
    said = bytearray()
    with contextlib.suppress(OSError):
        while part := connection.recv(65536):
            said += part
    return bytes(said)


def test_connect_and_upgrades_are_requests_like_others(server: Serving, large_weights: Weights) -> None:
    upgrade = request("GET", "/v2/health/live", connection="upgrade", upgrade="websocket")
    with onlookers(server, large_weights):
        for _ in range(30):
            with connected(server.port) as connection:
                connection.sendall(b"CONNECT /a HTTP/1.1\r\nhost: localhost\r\n\r\n")
                assert connection.recv(12) in (b"", b"HTTP/1.1 404", b"HTTP/1.1 405")
        with connected(server.port) as connection:
            connection.sendall(upgrade * 600)
            for _ in range(600):
                assert read_answer(connection).status == 200
    assert not [event for event in server.events() if event["level"] == "error"]


def test_connections_are_kept_and_closed_as_their_requests_say(server: Serving) -> None:
    with connected(server.port) as connection:
        connection.sendall(request("GET", "/v2/health/live", connection="upgrade, close", upgrade="h2c"))
        assert read_answer(connection).status == 200
        assert connection.recv(1) == b""
    with connected(server.port) as connection:
        connection.sendall(b"GET /v2/health/live HTTP/1.0\r\n\r\n")
        assert everything(connection).startswith(b"HTTP/1.0 200")


def chunked(*lines: bytes) -> bytes:
    """A whole body in chunks, up to its trailers."""
    body = seed_request(3)
    head = f"POST {INFER} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    return head + b"%x\r\n%b\r\n0\r\n" % (len(body), body) + b"".join(lines)


def _send_trailers(connection: socket.socket) -> None:
    for number in range(100_000):
        connection.sendall(b"x-%d: %b\r\n" % (number, b"y" * 1000))


def test_trailers_end_and_are_no_headers(server: Serving, large_weights: Weights) -> None:
    with onlookers(server, large_weights), connected(server.port) as connection:
        connection.sendall(chunked())
        with pytest.raises(ConnectionError):
            _send_trailers(connection)
    with connected(server.port) as connection:
        connection.sendall(chunked(b"x-request-id: from-a-trailer\r\n", b"\r\n"))
        answer = read_answer(connection)
    assert are_images(images_of(answer), large_weights, 3)
    assert answer.headers["x-request-id"] != "from-a-trailer"


def test_what_a_body_inflates_to_is_charged_to_the_budget(large_bundle: Path) -> None:
    body = os.urandom(MIB) + bytes(3 * MIB - 1000)
    packed = gzip.compress(body)  # 1 MiB, which with the 4 MiB that it inflates to are over the budget
    with serving_here(large_bundle, max_bodies=4 * MIB, max_body=4 * MIB) as here:
        assert ask(here.port, "POST", INFER, packed, content_encoding="gzip").status == 503
        assert refusals(here) == {"no_memory": 1}
        assert ask(here.port, "POST", INFER, body).status == 400  # nothing is held any more


def test_answers_of_grpc_that_nobody_reads_are_charged_until_their_time_is_over(
    large_bundle: Path, large_weights: Weights, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(grpc_server, "SLOWEST", MIB)
    many: dict[str, Array] = {"seed": np.array([1], np.uint64), "count": np.array([200], np.uint32)}  # 2.3 MiB
    asked = request_of(many).SerializeToString()
    settings: dict[str, Any] = {"write_timeout": 2.0, "max_bodies": 10 * MIB, "max_body": 8 * MIB}
    with serving_here(large_bundle, grpc_port=0, **settings) as here, ExitStack() as stack:

        def ask_and_read_nothing() -> Http2Connection:
            connection = Http2Connection(str(here.grpc), window=0)
            stack.callback(connection.socket.close)
            document = status_of(here.port)
            images, refused = document["images"], document["refused"]
            connection.send(connection.call(), message_head(len(asked)) + asked, 1)
            wait_until(
                lambda: status_of(here.port)["images"] == images + 200 or status_of(here.port)["refused"] > refused
            )
            return connection

        for _ in range(4):
            ask_and_read_nothing()
        wait_until(lambda: refusals(here).get("no_memory") == 1)  # beside three answers no place is left to make one
        wait_until(lambda: refusals(here).get("slow_request") == 3)
        ask_and_read_nothing().socket.close()  # a client that leaves is no failure
        _ask_grpc(here, large_weights)
        assert ask(here.port, "POST", INFER, bytes(3 * MIB)).status == 400  # nothing is held any more
    assert errors_logged(caplog) == []


def errors_logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]


FLOATS = b'{"inputs":[{"name":"z","datatype":"FP32","shape":[1,8],"data":[%b0]}]}' % (b"1.5," * (MIB - 100))
TENSORS = b'{"inputs":[%b{}]}' % (b'{"name":"z","datatype":"FP32","shape":[1],"data":[0]},' * 70_000)
TEXTS = b'{"images":[%b""]}' % (b'"AAAA",' * (MIB // 2))


@pytest.mark.parametrize(
    ("path", "body"), [(INFER, FLOATS), (INFER, TENSORS), ("/v1/scores", TEXTS)], ids=["floats", "tensors", "texts"]
)
def test_large_json_holds_up_nobody(server: Serving, large_weights: Weights, path: str, body: bytes) -> None:
    assert 3 * MIB < len(body) < 4 * MIB
    statuses: list[int] = []
    with onlookers(server, large_weights):
        at_once(12, lambda _: statuses.append(ask(server.port, "POST", path, body, content_type=JSON).status))
    assert set(statuses) <= {400, 413, 503}


JSON = "application/json"


def test_json_over_the_bound_says_what_to_send(server: Serving) -> None:
    answer = ask(server.port, "POST", INFER, b" " * (5 * MIB))
    assert answer.status == answer.problem["status"] == 413
    assert "bytes" in answer.problem["detail"]


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_pictures_of_many_parts_hold_up_nobody(server: Serving, large_weights: Weights, kind: str) -> None:
    content = picture_of_many_parts(kind)
    statuses: list[int] = []
    with onlookers(server, large_weights):
        at_once(
            8,
            lambda _: statuses.append(
                ask(server.port, "POST", "/v1/scores", content, content_type=f"image/{kind.lower()}").status
            ),
        )
    assert statuses == [400] * 8


def test_pictures_of_one_row_and_forms_without_boundary(server: Serving, large_weights: Weights) -> None:
    out = io.BytesIO()
    Image.new("L", (2**24, 1)).save(out, "PNG")
    with onlookers(server, large_weights):
        answer = ask(server.port, "POST", "/v1/scores?resize=true", out.getvalue(), content_type="image/png")
        assert answer.status == answer.problem["status"] == 400
    answer = ask(server.port, "POST", "/v1/scores", b"x", content_type="multipart/form-data; boundary=b")
    assert answer.status == answer.problem["status"] == 400


def test_large_pictures_are_decoded_within_the_budget(server: Serving, large_weights: Weights) -> None:
    out = io.BytesIO()
    Image.new("RGBA", (4096, 4096)).save(out, "PNG")
    with onlookers(server, large_weights):
        at_once(
            8, lambda _: ask(server.port, "POST", "/v1/scores?resize=true", out.getvalue(), content_type="image/png")
        )


def test_answers_that_nobody_reads(server: Serving, large_weights: Weights) -> None:
    with onlookers(server, large_weights), ExitStack() as stack:
        for _ in range(60):
            connection = stack.enter_context(slowly_connected(server.port))
            connection.sendall(request("GET", DOWNLOAD))
        for _ in range(60):
            connection = stack.enter_context(connected(server.port))
            connection.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    connection.send(request("POST", INFER, seed_request(1, 4)) * 100)
        time.sleep(2)


@contextmanager
def slowly_connected(port: int) -> Iterator[socket.socket]:
    """A client whose system buffers little of what it does not read."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.settimeout(5)
        connection.connect(("127.0.0.1", port))
        yield connection


def test_a_client_that_reads_nothing_is_cut_and_one_that_reads_slowly_is_not(large_bundle: Path) -> None:
    with (
        serving_here(large_bundle, write_timeout=2.0) as here,
        slowly_connected(here.port) as idle,
        slowly_connected(here.port) as slow,
    ):
        idle.sendall(request("GET", DOWNLOAD))
        begin = idle.recv(12)  # before the other one asks, or the queue were full
        slow.sendall(request("GET", DOWNLOAD))
        size, end = 0, time.monotonic() + 5
        while time.monotonic() < end:
            size += len(slow.recv(65536))
            time.sleep(0.05)
        while size < 12 * MIB:
            size += len(slow.recv(2**20))
        assert begin == b"HTTP/1.1 200"
        assert len(everything(idle)) < 12 * MIB - 2**16


def test_half_sent_messages_of_grpc(server: Serving, large_weights: Weights) -> None:
    size = 31 * MIB
    data = message_head(size) + bytes(size - 10)
    with onlookers(server, large_weights), ExitStack() as stack:

        def attack(_: int) -> None:
            connection = Http2Connection(str(server.grpc))
            stack.callback(connection.socket.close)
            connection.send(connection.call(), data, 3)

        at_once(40, attack)
    _ask_grpc(server, large_weights)


def _ask_grpc(server: Serving | Here, weights: Weights, seconds: float = 5.0) -> None:
    with stub_of(str(server.grpc)) as stub:
        assert stub.ServerReady(pb.ServerReadyRequest(), timeout=seconds).ready
        answer = stub.ModelInfer(request_of({"seed": np.array([5], np.uint64)}), timeout=seconds)
        images = np.frombuffer(answer.raw_output_contents[0], np.uint8).reshape(answer.outputs[0].shape)
        assert are_images(images, weights, 5)


def refusals(server: Serving | Here) -> dict[str, float]:
    """How often each reason was given."""
    lines = ask(server.port, "GET", "/metrics").body.decode().splitlines()
    found = [line for line in lines if line.startswith("ganport_refusals_total{")]
    return {line.split('"')[1]: float(line.split()[1]) for line in found}


def test_calls_that_send_no_message_shut_out_nobody(server: Serving, large_weights: Weights) -> None:
    before = refusals(server).get("too_many_calls", 0)
    with onlookers(server, large_weights), ExitStack() as stack:
        for _ in range(13):
            connection = Http2Connection(str(server.grpc))
            stack.callback(connection.socket.close)
            for _ in range(100):
                connection.call()
        for _ in range(5):
            _ask_grpc(server, large_weights)
    wait_until(lambda: refusals(server).get("too_many_calls", 0) > before)


def test_silent_connections_of_grpc_leave_http_its_own(server: Serving, large_weights: Weights) -> None:
    with onlookers(server, large_weights), ExitStack() as stack:
        host, _, port = str(server.grpc).rpartition(":")
        for _ in range(2400):
            with contextlib.suppress(OSError):
                stack.enter_context(socket.create_connection((host, int(port)), timeout=2))
        files = len(os.listdir(f"/proc/{server.process.pid}/fd"))  # noqa: PTH208 - not on a disk
        assert files < 1500
    wait_until(lambda: _is_served(server, large_weights))


def _is_served(server: Serving, weights: Weights) -> bool:
    try:
        _ask_grpc(server, weights, 1.0)
    except grpc.RpcError:
        return False
    return True


def test_a_call_without_the_token_is_refused_before_its_message(bundle: Path) -> None:
    with serving_here(bundle, grpc_port=0, token="a", body_timeout=60.0) as here:
        connection = Http2Connection(str(here.grpc))
        number = connection.call()
        begun, closed = time.monotonic(), b""
        connection.socket.settimeout(5)
        while b"grpc-status" not in closed and b"Bearer" not in closed:
            closed += connection.socket.recv(4096)
        assert number == 1
        assert time.monotonic() - begun < 5
        connection.socket.close()


def test_memory_comes_back_after_many_connections(server: Serving) -> None:
    for _ in range(500):
        generate(server.port, 1)
    before = resident(server)
    for _ in range(2):
        with ExitStack() as stack:
            opened = [stack.enter_context(connected(server.port)) for _ in range(1000)]
            for connection in opened:
                connection.sendall(request("POST", INFER, seed_request(1)))
            for connection in opened:
                read_answer(connection)
    assert resident(server) - before < 64 * MIB


def test_out_of_descriptors(large_bundle: Path, large_weights: Weights) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (400, soft))  # the server inherits it; it may raise it again
    try:
        manager = serving(large_bundle, "--no-grpc")
        server = manager.__enter__()
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (60, 60))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with connected(server.port) as first:
        first.sendall(request("GET", "/v2/health/live"))
        assert read_answer(first).status == 200
        with ExitStack() as stack:
            for _ in range(100):
                stack.enter_context(connected(server.port))
            for path in ("/v2/health/live", "/", "/v1/images/7.png", "/metrics"):
                first.sendall(request("GET", path))
                assert read_answer(first).status == 200
        wait_until(lambda: ask(server.port, "GET", "/v2/health/live").status == 200)
    manager.__exit__(None, None, None)


def test_sigterm_lets_a_download_finish_and_silent_calls_do_not_delay_it(large_bundle: Path) -> None:
    with serving(large_bundle) as server, slowly_connected(server.port) as slow:
        host, _, port = str(server.grpc).rpartition(":")
        silent = socket.create_connection((host, int(port)))
        call = Http2Connection(str(server.grpc))
        call.call()
        slow.sendall(request("GET", DOWNLOAD))
        size = len(slow.recv(1000))
        server.process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        while part := slow.recv(2**17):
            size += len(part)
            time.sleep(0.01)
        assert size > 12 * MIB
        assert server.process.wait(10) == 0
        assert time.monotonic() - begun < 8
        (draining,) = [event for event in server.events() if event["event"] == "draining"]
        assert draining["unanswered"] == 1
        silent.close()
        call.socket.close()


def test_a_log_whose_reader_stalls_stops_nothing(bundle: Path) -> None:
    command = ["-m", "ganport_cli", "serve", str(bundle), "--json", "--log-requests", "--port", "0", "--no-grpc"]
    with subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines: list[str] = []
        while not lines or lines[-1] != "}\n":
            lines.append(process.stdout.readline())
        port = int(json.loads("".join(lines))["url"].rpartition(":")[2])
        with connected(port) as connection:
            for _ in range(800):
                connection.sendall(request("GET", "/v2/health/live", x_request_id="x" * 100))
                assert read_answer(connection).status == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_a_page_that_rebinds_its_name_reads_nothing(server: Serving) -> None:
    for name in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80"):
        answer = ask(server.port, "GET", "/v1/images/7.png", host=name)
        assert answer.status == answer.problem["status"] == 421
    for name in ("localhost", f"127.0.0.1:{server.port}", "[::1]:80", "192.168.3.4", socket.gethostname()):
        answer = ask(server.port, "GET", "/v1/images/7.png", host=name)
        assert answer.status == 200
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_another_name_is_allowed_where_it_is_said(bundle: Path) -> None:
    with serving_here(bundle, allowed_hosts=("images.example",)) as here:
        assert ask(here.port, "GET", "/v1/status", host="images.example:8000").status == 200
    with serving_here(bundle, token="a") as here:
        assert ask(here.port, "GET", "/v1/status", host="images.example", authorization="Bearer a").status == 200


def test_the_admin_path_may_have_a_token_of_its_own(bundle: Path, other_bundle: Path) -> None:
    body = json.dumps({"path": str(other_bundle)}).encode()
    with serving_here(bundle, token="clients", admin_token="operators") as here:
        given: list[tuple[str, int]] = [("clients", 401), ("operators", 200)]
        for token, status in given:
            headers: dict[str, Any] = {"authorization": f"Bearer {token}"}
            assert ask(here.port, "POST", "/admin/bundle", body, **headers).status == status
        assert ask(here.port, "GET", "/v1/status", authorization="Bearer operators").status == 401
