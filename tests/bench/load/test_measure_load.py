"""From a target to the document, the tables and the CSV: a fake server that says what it does, and the real one."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from ganport_bench.errors import BenchError
from ganport_bench.load import LoadFindings, ServedBundle, tables, write_csv
from ganport_bench.tables import to_markdown

from tests.bench.client.fake_server import Fake, answer, image_of, running
from tests.bench.load.open_inference import SHORT, described, measured, rows_of, statistics
from tests.support.bundles import make_bundle, make_weights

# as perf_analyzer's documentation shows its file
HEADER = (
    "Concurrency,Inferences/Second,Client Send,Network+Server Send/Recv,Server Queue,Server Compute Input,"
    "Server Compute Infer,Server Compute Output,Client Recv,p50 latency,p90 latency,p95 latency,p99 latency"
)
DELAY = 0.01


def shown(load: LoadFindings) -> str:
    return "\n\n".join(to_markdown(table) for table in tables({"load": load.to_json()}))


@pytest.fixture(scope="module")
def load() -> LoadFindings:
    """Of a fake server that counts four stages."""
    fake = Fake(delay=lambda _: DELAY)
    stages = statistics(fake, queue=1000, compute_input=200, compute_infer=5000, compute_output=300)
    fake.documents = {**described(), **stages}
    with running(fake):
        return measured(fake)


def test_the_document_holds_everything(load: LoadFindings) -> None:
    document = json.loads(json.dumps(load.to_json(), allow_nan=False))
    assert set(document) >= {"target", "rates", "knee", "concurrency"}
    assert document["system"] == "fake 1.0"
    assert document["target"].endswith(", model generator")
    assert document["knee"]["bound_ms"] == pytest.approx(10 * document["unloaded_p50_ms"])
    assert set(document["knee"]) == {"definition", "bound_ms", "poisson", "constant"}
    for row in (*document["rates"], *document["concurrency"]):
        assert row["correct"]
        assert row["samples"] > 0
        assert row["answered_per_second"] > 0
        assert row["server_us"] == pytest.approx(
            {"queue": 1000, "compute_input": 200, "compute_infer": 5000, "compute_output": 300}
        )
    for row in document["rates"]:
        assert 0 <= row["late_ms"]["p50"] <= row["late_ms"]["p99"] <= row["late_ms"]["max"]
        assert row["held"] == (row["in_time"] >= 0.99)


def test_the_csv_is_read_as_perf_analyzers(load: LoadFindings, tmp_path: Path) -> None:
    files = write_csv(load, tmp_path / "made" / "load.csv")
    names = ["load.csv", "load-request-rate-poisson.csv", "load-request-rate-constant.csv"]
    assert [file.name for file in files] == names
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == sorted(names)
    assert files[0].read_text().splitlines()[0] == HEADER
    assert files[1].read_text().splitlines()[0] == HEADER.replace("Concurrency", "Request Rate")
    rows = list(csv.DictReader(files[0].read_text().splitlines()))
    throughput = [float(row["Inferences/Second"]) for row in rows]
    assert throughput == sorted(throughput)
    first = rows[0]
    assert (first["Concurrency"], first["Server Queue"], first["Server Compute Infer"]) == ("1", "1000", "5000")
    assert 1e6 * DELAY <= int(first["p50 latency"]) <= int(first["p90 latency"]) <= int(first["p99 latency"])
    parts = [int(first[name]) for name in HEADER.split(",")[2:9]]
    mean = 1e6 * load.concurrency[0].answers.mean
    assert sum(parts) == pytest.approx(mean, abs=10), "the columns between add up to the mean latency"


def test_every_row_and_the_knee_are_shown(load: LoadFindings) -> None:
    clients, rates, knee = tables({"load": load.to_json()})
    assert [row[0] for row in clients.rows] == ["1", "4"]
    assert [row[0] for row in rates.rows] == ["poisson", "constant"]
    queue = clients.columns.index("queue ms")
    assert clients.rows[0][queue : queue + 2] == ("1.00", "5.50")
    assert "constant arrivals: " in knee.note
    assert load.definition in knee.note


def test_a_server_without_statistics_leaves_their_columns_empty_and_says_so(load: LoadFindings, tmp_path: Path) -> None:
    without = replace(
        load,
        server=replace(load.server, no_statistics="the server has no statistics"),
        concurrency=[replace(row, server=None) for row in load.concurrency],
    )
    text = write_csv(without, tmp_path / "load.csv")[0].read_text()
    row = next(csv.DictReader(text.splitlines()))
    assert [row[name] for name in HEADER.split(",")[3:8]] == 5 * [""]
    assert "Without the server's own times: the server has no statistics." in shown(without)
    assert without.to_json()["concurrency"][0]["server_us"] is None


def test_refusals_errors_and_lost_requests_are_told_apart() -> None:
    def says(number: int, seed: int) -> list[bytes | None]:
        odd: dict[int, list[bytes | None]] = {7: [answer(b"", 429)], 8: [answer(b"", 500)], 9: []}
        return odd.get(number % 10, [answer(image_of(seed))])

    effort = replace(SHORT, levels=(1,), rate_seconds=0.3)
    with running(Fake(delay=lambda _: 0.004, says=says, documents=described())) as fake:
        load = measured(fake, effort)
    row = load.rates[0].to_json()
    assert row["refused"] > 0
    assert set(row["errors"]) == {"500"}
    assert set(row["lost"]) == {"closed without an answer"}
    assert not row["held"]
    assert not row["correct"]
    assert load.knees["poisson"].held is None


def test_a_server_that_answers_nothing_is_an_error() -> None:
    says = [answer(b"{}")]
    with (
        running(
            Fake(says=lambda number, _: says if number == 0 else [answer(b"", 500)], documents=described())
        ) as fake,
        pytest.raises(BenchError, match=r"^fake 1.0 answered nothing in a whole load: [\d,]+ x status 500"),
    ):
        measured(fake, replace(SHORT, levels=(1,), most_windows=3))


@pytest.mark.slow
def test_a_bundle_is_served_measured_and_checked(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "tiny.ganport", make_weights())
    load = measured(ServedBundle(bundle, precision="fp32"), replace(SHORT, levels=(8,)))
    assert [row.concurrency for row in load.concurrency] == [1, 8]
    for row in rows_of(load):
        assert row.answers.is_right, row.answers.faults
        assert row.answers.checked > 0
        assert row.server is not None
        assert row.server["compute_infer"] > 0
    assert "fp32" in load.server.facts["plan"]
    assert load.server.judged.startswith("every eighth answer is compared with its image")
    commands = [" ".join(child.cmdline()) for child in psutil.Process().children(recursive=True)]
    assert not [command for command in commands if str(bundle) in command], "the server is stopped"


def test_no_clients_are_refused() -> None:
    with running(Fake(documents=described())) as fake, pytest.raises(BenchError, match="give numbers of 1 and more"):
        measured(fake, replace(SHORT, levels=(0, 4)))
