"""LoadGen around systems of known behavior: what they do is reported, and their faults end nothing but their run."""

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from ganport_bench.errors import BenchError
from ganport_bench.scenarios.answers import check_responses
from ganport_bench.scenarios.loadgen import run
from ganport_bench.scenarios.log import Log
from ganport_bench.scenarios.systems import Complete, InTurn, Pixels

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


def works(folder: Path) -> Log:
    return run(InTurn(images, 1), "SingleStream", FEW, folder)


def test_a_system_of_known_latency_has_it(tmp_path: Path) -> None:
    def slow(seeds: Sequence[int]) -> Pixels:
        time.sleep(0.002)
        return images(seeds)

    log = run(InTurn(slow, 1), "SingleStream", FEW, tmp_path)
    assert log.latency_ms("")["min"] >= 2
    assert log.values["result_query_count"] == 70


def test_what_meets_its_settings_is_valid(tmp_path: Path) -> None:
    log = works(tmp_path)
    assert log.word == "VALID"
    assert log.reasons == []
    assert log.errors == ()


@pytest.mark.parametrize(
    ("scenario", "batch"), [("SingleStream", 1), ("MultiStream", 8), ("Server", 1), ("Offline", 32)]
)
def test_right_responses_are_right_and_others_wrong(tmp_path: Path, scenario: str, batch: int) -> None:
    right = run(InTurn(images, batch), scenario, PACED, tmp_path / "right")
    check = check_responses(right, image)
    assert check.correct
    assert check.checked == 70 * (8 if scenario == "MultiStream" else 1)
    off = run(InTurn(lambda seeds: images(seeds) + np.uint8(1), batch), scenario, PACED, tmp_path / "off")
    check = check_responses(off, image)
    assert not check.correct
    assert check.differing == check.checked > 0
    assert check.difference
    assert check.difference.largest_difference == 1


def test_nothing_compared_is_not_right(tmp_path: Path) -> None:
    log = run(InTurn(images, 1), "SingleStream", {**FEW, "accuracy_log_probability": 0.0}, tmp_path)
    assert not check_responses(log, image).correct


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
    assert [len(data) for _, data in Log.read(tmp_path).responses] == [image(0).nbytes] * 16 + [0] * 54


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


def test_a_folder_without_logs_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="holds no readable log of LoadGen"):
        Log.read(tmp_path)
