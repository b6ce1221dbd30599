"""What clients may cost: pictures of many parts, work in threads, answers that never fit, bodies that nobody reads."""

import asyncio
import base64
import io
import json
import struct
import threading
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ganport_runtime import Generator
from ganport_serve.errors import ServeError
from ganport_serve.metrics import Metrics
from ganport_serve.pictures import decoding_bytes
from ganport_serve.refusals import ProblemError
from ganport_serve.server import HttpServer
from ganport_serve.service import Service
from ganport_serve.settings import Settings
from ganport_serve.v2.grpc import Crowd
from PIL import Image

from tests.serve.conftest import Gate
from tests.serve.v2.messages import refusal, request_of, stub_of
from tests.support.bundles import Weights
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
from tests.support.serving import serving_here

MANY = 500_000


def picture_of_many_parts(kind: str) -> bytes:
    """An image whose head has very many empty segments or chunks."""
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, kind)
    begin = {"JPEG": 2, "PNG": 33}[kind]
    chunk = struct.pack(">I4sI", 0, b"abCd", zlib.crc32(b"abCd"))
    return out.getvalue()[:begin] + MANY * {"JPEG": b"\xff\xfe\0\2", "PNG": chunk}[kind] + out.getvalue()[begin:]


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_picture_of_many_parts_is_refused_at_once(kind: str) -> None:
    content = picture_of_many_parts(kind)
    begun = time.process_time()
    with pytest.raises(ProblemError, match="image 0 is unreadable"):
        decoding_bytes([content], (8, 8, 3), resize=False)
    assert time.process_time() - begun < 0.3


def test_a_cancelled_caller_ends_with_its_thread() -> None:
    started, end = threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        end.wait(10)

    async def main() -> None:
        service = Service.of(Any, Settings(), Metrics())  # type: ignore[arg-type]
        caller = asyncio.create_task(service.in_thread(work))
        await asyncio.to_thread(started.wait, 10)
        for _ in range(2):
            caller.cancel()
            await asyncio.wait((caller,), timeout=0.05)
            assert not caller.done()
        end.set()
        await asyncio.wait((caller,), timeout=10)
        assert caller.cancelled()

    try:
        asyncio.run(main())
    finally:
        end.set()


def test_a_call_whose_time_is_over_is_ended_once() -> None:
    async def main() -> None:
        crowd = Crowd(4)

        async def wait() -> bool:
            timeout = asyncio.timeout(0.01)
            async with timeout:
                crowd.enter(timeout)
                try:
                    await asyncio.sleep(5)
                finally:
                    assert not crowd.leave(timeout)
            return True

        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(0.011, crowd.end, 0.0)
        failures: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
        time.sleep(0.03)  # both are due in one turn of the loop
        with pytest.raises(TimeoutError):
            await waiting
        assert failures == []

    asyncio.run(main())


def test_a_body_that_nobody_reads_has_no_deadline(bundle: Path, gate: Gate) -> None:
    with serving_here(bundle, body_timeout=0.2) as here, connected(here.port) as connection:
        gate.close()
        connection.sendall(request("GET", "/v1/images/7.png", b"{", content_length="2"))
        wait_until(lambda: status_of(here.port)["running"] == 1)
        time.sleep(0.8)
        gate.open()
        connection.sendall(b"}")
        assert read_answer(connection).status == 200


def test_an_answer_that_never_fits_is_refused_before_it_is_made(bundle: Path, weights: Weights) -> None:
    limits: dict[str, Any] = {"max_bodies": 60_000, "max_body": 50_000, "max_count": 1024}
    with serving_here(bundle, grpc_port=0, **limits) as here:
        row = int(np.prod(here.engine.served.image_shape))
        most = 60_000 // row
        answer = generate(here.port, 1, 1024)
        assert answer.status == answer.problem["status"] == 400
        assert answer.problem["field"] == "inputs[1].data"
        assert f"ask for {most} or fewer" in answer.problem["detail"]
        text = json.loads(seed_request(1, most)) | {"outputs": []}
        refused = ask(here.port, "POST", INFER, json.dumps(text).encode())
        assert f"ask for {60_000 // (5 * row)} or fewer" in refused.problem["detail"]
        with stub_of(str(here.grpc)) as stub:
            asked = request_of({"seed": np.array([1], np.uint64), "count": np.array([1024], np.uint32)})
            error = refusal(lambda: stub.ModelInfer(asked))
        assert f"ask for {60_000 // (2 * row)} or fewer" in str(error.details())
        assert status_of(here.port)["images"] == 0
        for _ in range(3):  # what is charged is given back
            assert are_images(images_of(generate(here.port, 7, most)), weights, 7, most)


def test_base64_may_fill_a_body(bundle: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1400, 1400, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).save(out, "PNG", compress_level=0)
    body = json.dumps({"images": [base64.b64encode(out.getvalue()).decode()]}).encode()
    assert len(body) > 5 * 2**20
    with serving_here(bundle) as here:
        assert ask(here.port, "POST", "/v1/scores?resize=true", body, content_type="application/json").status == 200


def test_where_http_ends_by_itself_the_server_ends_with_an_error(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def serve(self: HttpServer) -> None:
        self._listener.close()
        raise OSError("no more files")

    monkeypatch.setattr(HttpServer, "serve", serve)
    with pytest.raises(ServeError, match="by itself"), serving_here(bundle):
        pass


def test_images_that_another_plan_may_have_made_are_not_cached(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving_here(bundle, token="t") as here, connected(here.port) as connection:
        head: dict[str, Any] = {"authorization": "Bearer t"}
        path = json.dumps({"path": str(bundle)}).encode()
        run_bucket = Generator.run_bucket
        held, end = threading.Event(), threading.Event()

        def once(self: Generator, *values: Any) -> Any:
            if not held.is_set():
                held.set()
                end.wait(10)
            return run_bucket(self, *values)

        monkeypatch.setattr(Generator, "run_bucket", once)
        connection.sendall(request("GET", "/v1/images/7.png", **head))
        assert held.wait(10)
        assert ask(here.port, "POST", "/admin/bundle", path, **head).status == 200
        end.set()
        answer = read_answer(connection)
        assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
        assert "etag" not in answer.headers
