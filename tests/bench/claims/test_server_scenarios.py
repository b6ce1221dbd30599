"""What the scenarios make of outcomes that are known."""

import json
from dataclasses import replace

import numpy as np
import pytest
from ganport_bench.client.outcome import Outcome
from ganport_bench.client.requests import Endpoint, SeedEncoder
from ganport_bench.figures import Figure
from ganport_bench.load.servers import StartedServer
from ganport_bench.timing import Estimate
from script import with_old_keys
from server_scenarios import Overload, memory_found, one_client_found
from server_setup import Cpu

SERVER = StartedServer("ganport serve", 1, Endpoint("127.0.0.1", 1, SeedEncoder()))
SECONDS, PEAK, MAX_QUEUE = 5.0, 100.0, 10


def overload(
    *, accepted: float = 0.5, refused: float = 0.01, late: float = 0.0, lost: int = 0, kept: int = 3
) -> Overload:
    """300 requests a second, `kept` of nine accepted; seconds until answers, and by which all were sent late."""
    due = np.arange(0, SECONDS, 1 / 300)
    good = np.arange(len(due)) % 9 < kept
    answered = due + late + np.where(good, accepted, refused)
    status = np.where(good, 200, 429).astype(np.int16)
    answered[:lost], status[:lost] = np.nan, 0
    reasons = {"closed without an answer": lost} if lost else {}
    outcome = Outcome(due, due + late, answered, status, reasons, {}, 30, 0, 0.5, SECONDS + 1)
    return Overload("fp32", SERVER, {64: (PEAK, PEAK)}, 3 * PEAK, MAX_QUEUE, outcome, Cpu(1.0, 0.5), SECONDS)


def figures_of(one: Overload) -> dict[str, Figure]:
    return {figure.name.removesuffix(f"_{one.asked}"): figure for figure in one.figures()}


def test_an_overload_that_the_server_withstands_reaches_every_threshold() -> None:
    figures = figures_of(overload())
    assert all(figure.is_reached for figure in figures.values())
    measured = {name: figure.estimate.value for name, figure in figures.items() if figure.estimate}
    assert measured == {
        "overload_kept": pytest.approx(100, abs=1),
        "overload_accepted_p99": pytest.approx(50, abs=1),
        "overload_lost": 0,
        "overload_refused_p99": pytest.approx(10),
    }
    assert figures["overload_accepted_p99"].wanted == MAX_QUEUE + 128
    assert figures["overload_accepted_p99"].details == {"p99_ms": pytest.approx(500)}
    row = json.loads(json.dumps(overload().row(), allow_nan=False))
    assert (row["requests"], row["answers"], row["lost"], row["correct"]) == (1500, {"200": 501, "429": 999}, 0, True)
    assert row["cores"] == pytest.approx({"client": 0.5 / 6, "server": 1 / 6, "loop": 0.5 / 6})


@pytest.mark.parametrize(
    ("one", "missed"),
    [
        (overload(kept=2), "overload_kept"),
        (overload(accepted=1.5), "overload_accepted_p99"),
        (overload(refused=0.035), "overload_refused_p99"),
        (overload(lost=1), "overload_lost"),
    ],
    ids=["throughput falls", "a queue without a bound", "slow refusals", "one is lost"],
)
def test_each_thing_that_goes_wrong_is_a_miss_of_its_own(one: Overload, missed: str) -> None:
    assert [name for name, figure in figures_of(one).items() if not figure.is_reached] == [missed]


def test_what_a_tuned_plan_keeps_of_its_peak_is_shown_without_a_threshold() -> None:
    figure = figures_of(replace(overload(kept=2), asked="auto"))["overload_kept"]
    assert figure.wanted is None
    assert figure.estimate is not None


def test_the_peak_is_of_the_better_number_of_clients_and_of_no_lucky_moment() -> None:
    assert replace(overload(), peaks={64: (90.0, 110.0), 256: (60.0, 130.0)}).peak == 100


def test_a_load_generator_that_fell_behind_voids_what_it_should_have_measured() -> None:
    figures = figures_of(overload(accepted=0.1, refused=-0.045, late=0.05))
    for name in ("overload_kept", "overload_accepted_p99", "overload_refused_p99"):
        (document,) = with_old_keys([figures[name]])
        assert document["measured"] is not None
        assert (document["is_void"], document["reached"]) == (True, False)


def test_an_overload_that_refuses_nothing_shows_no_refusals() -> None:
    figure = figures_of(overload(kept=9))["overload_refused_p99"]
    assert (figure.is_reached, figure.note) == (False, "nothing was refused")


@pytest.mark.parametrize(("last", "is_flat"), [(100e6, True), (104e6, True), (106e6, False), (90e6, False)])
def test_memory_is_flat_or_not_after_warming_up(last: float, *, is_flat: bool) -> None:
    resident = np.concatenate([np.full(10, 50e6), np.full(80, 100e6), np.full(10, last)])
    none = np.zeros(0)
    outcome = Outcome(none, none, none, np.zeros(0, np.int16), {}, {}, 0, 0, 1.0, 1.0)
    (row,), (figure,) = memory_found("auto", "a plan", outcome, resident)
    assert figure.is_reached is is_flat
    assert (row["warm_bytes"], row["last_bytes"], row["growth"]) == (100e6, last, pytest.approx(last / 100e6))


def test_what_one_client_waits_longer_is_compared_round_by_round() -> None:
    bare = np.array([1e-3, 5e-3, 2e-3])
    seconds = {"bare": bare, "HTTP": bare + 1.2e-3, "gRPC": bare + 2e-3}
    rows, (http, grpc) = one_client_found("auto", seconds, "")
    assert [row["added_ms"]["value"] for row in rows] == pytest.approx([1.2, 2.0])
    assert (http.is_reached, grpc.is_reached) == (True, False)
    _, (wrong,) = one_client_found("auto", {"bare": bare, "HTTP": bare}, "1 x another image")
    assert (wrong.is_reached, wrong.note) == (False, "1 x another image")


def test_a_figure_has_the_keys_of_older_documents_too() -> None:
    figure = Figure("name", "title", "x", Estimate(2, 1, 3), 1.5)
    (document,) = with_old_keys([figure, replace(figure, estimate=None)][:1])
    assert (document["measured"], document["low"], document["high"]) == (2, 1, 3)
    assert (document["wanted"], document["target"], document["reached"], document["certain"]) == (1.5, 1.5, True, False)
    (document,) = with_old_keys([replace(figure, estimate=None)])
    assert (document["measured"], document["reached"]) == (None, False)
