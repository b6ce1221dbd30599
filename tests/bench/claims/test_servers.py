"""The whole script on the real server with a tiny bundle, a baseline that lies and one that is not there."""

import json
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import servers
from ganport_bench.client.loops import closed_loop
from ganport_bench.client.outcome import GoldenImages
from ganport_bench.client.processes import ServerProcess
from ganport_bench.client.requests import Endpoint, SeedEncoder
from ganport_bench.errors import BenchError
from ganport_bench.load.servers import StartedServer
from server_scenarios import ServersEffort, ServerTurns
from server_setup import HTTP

from tests.support.bundles import make_bundle, make_weights

ROOT = Path(__file__).resolve().parents[3]
LIAR = """
import asyncio, threading
from tests.bench.client.fake_server import Fake, answer

class Told(threading.Event):
    def set(self):
        print(fake.endpoint.port, flush=True)

fake = Fake(says=lambda *_: [answer(b"{}" + bytes(768))])
asyncio.run(fake.run(Told(), asyncio.Event()))
"""
SHORT = ServersEffort(2, 0.2, 0.05, 1, 0.1, 0.1, 2.0, requests=300, known=4, plans=("fp32",))


@contextmanager
def liar(bundle: Path, precision: str) -> Iterator[StartedServer]:
    """Answers every request with the same black image."""
    path = {"PYTHONPATH": f"{ROOT}:{ROOT / 'bench'}:{ROOT / 'runtime'}"}
    with ServerProcess("Liar", [sys.executable, "-c", LIAR], _port, path) as process:
        yield StartedServer("Liar", process.pid, Endpoint("127.0.0.1", process.facts, SeedEncoder()))


def nobody(bundle: Path, precision: str) -> AbstractContextManager[StartedServer]:
    raise BenchError("nobody is at home")


def _port(printed: str) -> int | None:
    return int(printed) if printed.endswith("\n") else None


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    bundle = make_bundle(tmp_path_factory.mktemp("measure") / "tiny.ganport", make_weights())
    scenarios, baselines = ("clients", "one", "memory"), {"Liar": liar, "Nobody": nobody}
    results = servers.measure(bundle, SHORT, lambda _: None, scenarios=scenarios, baselines=baselines)
    document: dict[str, Any] = json.loads(json.dumps(results, allow_nan=False))
    return document


@pytest.mark.slow
def test_a_real_server_is_measured_beside_the_generator_alone(document: dict[str, Any]) -> None:
    rows = {(row["scenario"], row.get("protocol")): row for row in document["rows"]}
    assert rows["offline", None]["images_per_second"] > 0
    served = rows["clients", "HTTP"]
    assert served["correct"]
    assert served["checked"] > 0
    assert served["images_per_second"] <= served["requests"] / (SHORT.turn_seconds - SHORT.lead_seconds)
    assert 0 < served["latency_ms"]["p50"] <= served["latency_ms"]["p90"] <= served["latency_ms"]["p99"]
    assert served["cpu_us"]["client"] > 0
    assert min(served["cpu_us"]["server"], served["own_cpu_us"]["high"]) > 0
    figures = {figure["name"]: figure for figure in document["targets"]}
    assert "clients_own_cpu_ganport_serve_fp32" in figures
    share = figures["clients_share_fp32"]["estimate"]
    assert share["low"] <= share["value"] <= share["high"]
    one = figures["one_client_added_http_fp32"]["details"]
    assert min(one["request_ms"], one["bare_ms"]) > 0
    assert figures["memory_growth_fp32"]["title"].startswith(f"{SHORT.requests} requests in a row")
    assert figures["memory_growth_fp32"]["details"]["warm_mib"] > 10


@pytest.mark.slow
def test_a_baseline_that_makes_other_images_or_cannot_run_is_listed_with_why(document: dict[str, Any]) -> None:
    missing = document["missing"]["fp32"]
    assert missing["Nobody"] == "nobody is at home"
    assert missing["Liar"] == "it does not answer rightly: 4 x another image than Generator.sample makes"
    figure = next(figure for figure in document["targets"] if figure["name"] == "clients_rate_over_liar_fp32")
    assert (figure["estimate"], figure["is_reached"], figure["note"]) == (None, False, missing["Liar"])
    clients, *_, thresholds = servers.tables(document)
    assert "not measured: Nobody: nobody is at home" in clients.lines
    assert len(thresholds.rows) == len(document["targets"])


def test_a_server_that_ends_says_its_last_words() -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no such bundle')"]
    with pytest.raises(BenchError, match=r"^mine ended with 1: no such bundle$"):
        ServerProcess("mine", command, lambda _: None)


def test_a_server_that_is_gone_takes_its_turns_with_nothing() -> None:
    with ServerProcess("mute", ["sleep", "60"], lambda _: True) as process:
        server = StartedServer("mute", process.pid, Endpoint("127.0.0.1", 1, SeedEncoder()))
        load = lambda: closed_loop(server.endpoint, GoldenImages([b""]), clients=1, seconds=1)  # noqa: E731
        turns = ServerTurns(server, HTTP, load, 0, 1)
        assert turns() == float("inf")
    assert "127.0.0.1:1 takes no connection" in turns.outcomes[0].faults()
