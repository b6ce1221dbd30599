"""The whole harness around the real server with a tiny bundle, a peer that lies and a peer that is not there."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from ganport_bench.client.loops import closed_loop
from ganport_bench.client.outcome import GoldenImages
from ganport_bench.client.processes import ServerProcess
from ganport_bench.client.requests import Endpoint, SeedEncoder
from ganport_bench.errors import BenchError
from ganport_bench.serving.effort import Effort
from ganport_bench.serving.measure import measure
from ganport_bench.serving.report import report
from ganport_bench.serving.results import to_json
from ganport_bench.serving.subject import Subject
from ganport_bench.serving.systems import Running
from ganport_bench.serving.turn import LoadTurns
from rich.console import Console

from tests.support.bundles import make_bundle, make_weights

ROOT = str(Path(__file__).resolve().parents[3])
LIAR = """
import asyncio, threading
from tests.bench.client.fake_server import Fake, answer

class Told(threading.Event):
    def set(self):
        print(fake.endpoint.port, flush=True)

fake = Fake(says=lambda *_: [answer(b"{}" + bytes(768))])
asyncio.run(fake.run(Told(), asyncio.Event()))
"""
SHORT = Effort(
    rounds=1,
    turn_seconds=0.2,
    lead_seconds=0.05,
    single_rounds=1,
    single_seconds=0.1,
    peak_seconds=0.1,
    overload_seconds=2.0,
    requests=300,
    known=4,
)


class Liar:
    """Answers every request with the same black image."""

    name = "Liar"

    def refusal(self) -> None:
        return None

    @contextmanager
    def start(self, bundle: Path, precision: str) -> Iterator[Running]:
        with ServerProcess(self.name, [sys.executable, "-c", LIAR], _port, {"PYTHONPATH": ROOT}) as process:
            yield Running(self.name, process.pid, Endpoint("127.0.0.1", process.facts, SeedEncoder()))


class Nobody:
    """Cannot run here."""

    name = "Nobody"

    def refusal(self) -> str:
        return "nobody is at home"

    def start(self, bundle: Path, precision: str) -> Any:
        raise AssertionError


def _port(printed: str) -> int | None:
    return int(printed) if printed.endswith("\n") else None


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """The document, and what people read."""
    bundle = make_bundle(tmp_path_factory.mktemp("measure") / "tiny.ganport", make_weights())
    results = measure(
        Subject(bundle, is_trained=False, tuned=""),
        SHORT,
        lambda _: None,
        scenarios=("clients", "one", "memory"),
        peers=(Liar(), Nobody()),
        plans=("fp32",),
    )
    console = Console(record=True, width=300, file=StringIO())
    console.print(report(results))
    return json.loads(json.dumps(to_json(results), allow_nan=False)), console.export_text()


def test_a_real_server_is_measured_beside_the_generator_alone(document: tuple[dict[str, Any], str]) -> None:
    rows = {(row["scenario"], row.get("protocol")): row for row in document[0]["rows"]}
    assert rows["offline", None]["images_per_second"] > 0
    served = rows["clients", "HTTP"]
    assert served["correct"]
    assert served["checked"] > 0
    assert served["images_per_second"] <= served["requests"] / (SHORT.turn_seconds - SHORT.lead_seconds)
    assert 0 < served["latency_ms"]["p50"] <= served["latency_ms"]["p90"] <= served["latency_ms"]["p99"]
    assert served["cpu_us"]["client"] > 0
    assert served["cpu_us"]["server"] >= served["cpu_us"]["loop"] > 0
    one = rows["one client", "HTTP"]
    assert min(one["request_ms"]["value"], one["bare_ms"]["value"]) > 0
    assert rows["in a row", None]["requests"] == SHORT.requests
    assert rows["in a row", None]["warm_bytes"] > 10 * 2**20


def test_every_promise_about_what_was_measured_is_there(document: tuple[dict[str, Any], str]) -> None:
    targets = {target["name"]: target for target in document[0]["targets"]}
    assert {"clients_share_fp32", "clients_p99_fp32", "one_client_added_http_fp32", "memory_growth_fp32"} <= set(
        targets
    )
    for target in targets.values():
        assert set(target) >= {"name", "measured", "low", "high", "wanted", "reached"}
    assert targets["clients_share_fp32"]["low"] <= targets["clients_share_fp32"]["measured"]


def test_a_peer_that_makes_other_images_or_cannot_run_is_listed_with_why(document: tuple[dict[str, Any], str]) -> None:
    missing = document[0]["missing"]["fp32"]
    assert missing["Nobody"] == "nobody is at home"
    assert missing["Liar"] == "it does not answer rightly: 4 x another image than Generator.sample makes"
    assert "not measured: Liar: it does not answer rightly" in document[1]
    promise = next(target for target in document[0]["targets"] if target["name"] == "clients_rate_over_liar_fp32")
    assert (promise["measured"], promise["reached"], promise["note"]) == (None, False, missing["Liar"])


def test_a_server_that_ends_says_its_last_words() -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no such bundle')"]
    with pytest.raises(BenchError, match=r"^mine ended with 1: no such bundle$"):
        ServerProcess("mine", command, lambda _: None)


def test_a_server_that_is_gone_takes_its_turns_with_nothing() -> None:
    with ServerProcess("mute", ["sleep", "60"], lambda _: True) as process:
        running = Running("mute", process.pid, Endpoint("127.0.0.1", 1, SeedEncoder()))
        turns = LoadTurns(
            running, lambda: closed_loop(running.endpoint, GoldenImages([b""]), clients=1, seconds=1), 0, 1
        )
        assert turns() == float("inf")
    assert "127.0.0.1:1 takes no connection" in turns.turns[0].outcome.faults()
