"""LoadGen around systems of known behavior, its search for a rate, and the four scenarios on a real bundle."""

import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest
from ganport_bench.errors import BenchError
from ganport_bench.loadgen import Complete, LoadGenLog, run
from ganport_bench.scenarios import (
    InTurn,
    ResponseCheck,
    Scenarios,
    latency_bound,
    log_folder,
    measure,
    search_rate,
    tables,
)
from ganport_bench.subject import Pixels

from tests.support.bundles import make_bundle, make_weights
from tests.support.tiny_run import QUICKEST


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64x64 images of 256 latents by one product of matrices: long enough for LoadGen."""
    weights = make_weights(latent_dim=256, image=(64, 64, 3))
    return make_bundle(tmp_path_factory.mktemp("scenarios") / "dense.ganport", weights, discriminator=False)


SHAPE = (4, 4, 3)
FEW = {"min_duration_ms": 0, "min_query_count": 70, "accuracy_log_probability": 1.0}
PACED = {**FEW, "server_target_qps": 5000.0}


def image(seed: int) -> Pixels:
    return np.full(SHAPE, seed % 251, np.uint8)


def images(seeds: Sequence[int]) -> Pixels:
    return np.stack([image(seed) for seed in seeds])


def failing(after: int) -> Callable[[Sequence[int]], Pixels]:
    calls = iter(range(after))

    def make(seeds: Sequence[int]) -> Pixels:
        if next(calls, None) is None:
            raise MemoryError("no room")
        return images(seeds)

    return make


@dataclass
class Elsewhere:
    """Completes every query from another thread, later."""

    make: Callable[[Sequence[int]], Pixels]

    def issue(self, ids: Sequence[int], seeds: Sequence[int], complete: Complete) -> None:
        threading.Thread(target=self._make, args=(ids, seeds, complete)).start()

    def _make(self, ids: Sequence[int], seeds: Sequence[int], complete: Complete) -> None:
        try:
            made: Pixels | BaseException = self.make(seeds)
        except MemoryError as error:
            made = error
        complete(ids, made)


def works(folder: Path) -> LoadGenLog:
    return run(InTurn(images, 1), "SingleStream", FEW, folder)


def test_a_system_of_known_latency_has_it(tmp_path: Path) -> None:
    def slow(seeds: Sequence[int]) -> Pixels:
        time.sleep(0.002)
        return images(seeds)

    log = run(InTurn(slow, 1), "SingleStream", FEW, tmp_path)
    assert log.latency_ms("")["min"] >= 2
    assert log.values["result_query_count"] == 70


@pytest.mark.parametrize(
    ("scenario", "batch"), [("SingleStream", 1), ("MultiStream", 8), ("Server", 1), ("Offline", 32)]
)
def test_right_responses_are_right_and_others_wrong(tmp_path: Path, scenario: str, batch: int) -> None:
    right = run(InTurn(images, batch), scenario, PACED, tmp_path / "right")
    check = ResponseCheck.of(right, image)
    assert check.correct
    assert check.checked == 70 * (8 if scenario == "MultiStream" else 1)
    off = run(InTurn(lambda seeds: images(seeds) + np.uint8(1), batch), scenario, PACED, tmp_path / "off")
    check = ResponseCheck.of(off, image)
    assert not check.correct
    assert check.differing == check.checked > 0
    assert check.difference
    assert check.difference.largest_difference == 1


@pytest.mark.parametrize("scenario", ["SingleStream", "MultiStream", "Server", "Offline"])
@pytest.mark.parametrize("kind", [lambda make: InTurn(make, 8), Elsewhere])
def test_a_system_that_fails_is_one_line_and_the_next_run_works(
    tmp_path: Path, scenario: str, kind: Callable[[Callable[[Sequence[int]], Pixels]], InTurn | Elsewhere]
) -> None:
    with pytest.raises(BenchError, match=f"the system failed under LoadGen's {scenario}: no room"):
        run(kind(failing(0 if scenario == "Offline" else 3)), scenario, PACED, tmp_path / "failed")
    assert works(tmp_path / "next").word == "VALID"


def test_a_query_that_fails_halfway_is_answered_once(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no room"):
        run(InTurn(failing(2), 8), "Offline", FEW, tmp_path)
    assert [len(data) for _, data in LoadGenLog.read(tmp_path).responses] == [image(0).nbytes] * 16 + [0] * 54


def test_an_interrupt_ends_the_run_and_is_passed_on(tmp_path: Path) -> None:
    def interrupting(seeds: Sequence[int]) -> Pixels:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)
        return images(seeds)

    with pytest.raises(KeyboardInterrupt):
        run(InTurn(interrupting, 1), "SingleStream", FEW, tmp_path / "interrupted")
    assert works(tmp_path / "next").word == "VALID"


def test_nothing_goes_to_standard_output(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run(InTurn(images, 1), "SingleStream", {**FEW, "min_query_count": 1000, "max_query_count": 5}, tmp_path)  # an error
    assert capfd.readouterr().out == ""


def test_an_audit_config_that_happens_to_be_there_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "audit.config").write_text("*.SingleStream.min_query_count = 3\n")
    monkeypatch.chdir(tmp_path)
    assert works(tmp_path / "logs").values["result_query_count"] == 70


# ---- LoadGen's search for the highest rate


@dataclass
class OneAtATime:
    """A server that takes so many seconds for each query, one after another."""

    seconds: float

    def __post_init__(self) -> None:
        self.queue: SimpleQueue[tuple[Sequence[int], Sequence[int], Complete] | None] = SimpleQueue()
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def issue(self, ids: Sequence[int], seeds: Sequence[int], complete: Complete) -> None:
        self.queue.put((ids, seeds, complete))

    def _serve(self) -> None:
        while (query := self.queue.get()) is not None:
            ids, seeds, complete = query
            time.sleep(self.seconds)
            complete(ids, images(seeds))

    def close(self) -> None:
        self.queue.put(None)
        self.thread.join()


EFFORT = replace(QUICKEST, search_seconds=0.1)


@pytest.mark.slow
def test_the_rate_of_a_server_of_known_capacity_is_found(tmp_path: Path) -> None:
    """200 queries a second are all that it can; with a bound of 50 ms a good part of them is within it."""
    server = OneAtATime(0.005)
    try:
        trial = search_rate(server, 20.0, 0.05, EFFORT, tmp_path)[-1]
    finally:
        server.close()
    assert trial.log.peak is not None
    assert 30 < trial.rate < 400
    assert trial.to_json()["keeps_bound"]


def test_where_no_rate_keeps_the_bound_the_search_begins_lower_and_ends(tmp_path: Path) -> None:
    server = OneAtATime(0.005)
    try:
        trials = search_rate(server, 100.0, 1e-4, EFFORT, tmp_path)
    finally:
        server.close()
    assert [trial.rate for trial in trials] == [100.0, 50.0, 25.0]
    assert not any(trial.to_json()["keeps_bound"] for trial in trials)


def test_a_system_that_fails_while_loadgen_searches_ends_the_search(tmp_path: Path) -> None:
    """LoadGen takes failed answers that come at once for a system without any limit, and would go on for ever."""
    with pytest.raises(BenchError, match="no room"):
        search_rate(InTurn(failing(100), 1), 200.0, 0.01, EFFORT, tmp_path)


# ---- a real bundle


NAMES = ["SingleStream", "MultiStream", "Server", "Offline"]
IN_SUMMARY = {
    "SingleStream": (r"90\.0th percentile latency \(ns\) : (\d+)", 1e-6),
    "MultiStream": (r"99\.0th percentile latency \(ns\) : (\d+)", 1e-6),
    "Server": (r"target_qps : ([\d.]+)", 1.0),
    "Offline": (r"Samples per second: ([\d.e+]+)", 1.0),
}


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="module")
def measured(bundle: Path, logs: Path) -> Scenarios:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ganport_bench.scenarios.LEAST_BOUND", 0.5)
        return measure(bundle, EFFORT, logs, lambda _step: None)


@pytest.fixture(scope="module")
def document(measured: Scenarios) -> Any:
    return json.loads(json.dumps(measured.to_json(), allow_nan=False))


@pytest.mark.slow
def test_every_metric_is_that_of_loadgens_own_summary(document: Any, logs: Path) -> None:
    assert [result["scenario"] for result in document["results"]] == NAMES
    for result in document["results"]:
        pattern, factor = IN_SUMMARY[result["scenario"]]
        summary = (logs / result["logs"] / "mlperf_log_summary.txt").read_text()
        found = re.search(pattern, summary)
        assert found
        assert result["value"] == pytest.approx(float(found[1]) * factor, rel=1e-4)
        assert f"Result is : {result['loadgen_says']}" in summary


@pytest.mark.slow
def test_a_short_run_is_invalid_and_says_why(document: Any) -> None:
    for result in document["results"]:
        assert result["loadgen_says"] == "INVALID"
        assert "min duration: shorter than 10 s" in result["reasons"]
    table = tables({"scenarios": document})[0]
    assert [row[0] for row in table.rows] == NAMES
    assert "INVALID by that alone" in table.note
    assert "not an MLPerf result" in table.title
    assert document["settings"]["what"].endswith("not an MLPerf result")


@pytest.mark.slow
def test_responses_that_loadgen_kept_are_those_of_sample(document: Any) -> None:
    for result in document["results"]:
        assert result["responses"]["checked"] > 0
        assert result["responses"]["differing"] == 0
        assert result["correct"]


@pytest.mark.slow
def test_a_system_that_makes_nothing_is_beside_each(document: Any) -> None:
    single, multi, _, offline = document["results"]
    assert 0 < single["null_microseconds"] < 1e3 * single["latency_ms"]["mean"]
    assert 0 < multi["null_microseconds"] < 1e3 * multi["latency_ms"]["mean"]
    assert 0 < offline["null_microseconds"] < 1e6 / offline["value"]


@pytest.mark.slow
def test_the_servers_search_is_written_down(document: Any, logs: Path) -> None:
    search = document["results"][2]["search"]
    assert search["latency_bound_ms"] == 500
    assert not search["trials"][0]["is_confirmation"]
    assert search["trials"][-1]["is_confirmation"]
    assert all((logs / trial["logs"] / "mlperf_log_detail.txt").is_file() for trial in search["trials"])
    assert search["trials"][-1]["target_queries_per_second"] == pytest.approx(document["results"][2]["value"], rel=1e-4)


@pytest.mark.slow
def test_a_bound_that_nothing_keeps_is_no_rate(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganport_bench.scenarios.latency_bound", lambda _batch_seconds: 1e-6)
    scenarios = measure(bundle, EFFORT, tmp_path, lambda _step: None)
    server = scenarios.to_json()["results"][2]
    assert server["value"] is None
    assert "performance constraints: the latency bound is not kept" in server["reasons"]
    assert not any(trial["keeps_bound"] for trial in server["search"]["trials"])
    server_row = tables({"scenarios": scenarios.to_json()})[0].rows[2]
    assert (server_row[0], server_row[2]) == ("Server", "none")


def test_without_loadgen_the_extra_is_named(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlperf_loadgen", None)
    with pytest.raises(BenchError, match=r"pip install 'ganport\[bench\]'"):
        measure(bundle, EFFORT, tmp_path, lambda _step: None)


@pytest.mark.parametrize("where", ["Server", "file/Server"])
def test_a_place_that_cannot_be_is_named(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "Server").touch()
    with pytest.raises(BenchError, match="Server"), log_folder(tmp_path / where):
        pytest.fail("nothing is to be measured")


@pytest.mark.parametrize(("batch_seconds", "wanted"), [(0.0107, 0.043), (0.010, 0.040), (0.0001, 0.01)])
def test_the_bound_is_a_few_batch_times_in_two_digits(batch_seconds: float, wanted: float) -> None:
    assert latency_bound(batch_seconds) == pytest.approx(wanted)
