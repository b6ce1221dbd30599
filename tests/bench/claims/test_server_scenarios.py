"""What the scenarios make of outcomes that are known."""

import json
from dataclasses import replace

import numpy as np
import pytest
from ganport_bench.client.outcome import Outcome
from ganport_bench.figures import Figure
from server_scenarios import Overload, memory_figure, one_client_figures

SECONDS, PEAK = 5.0, 100.0


def overload(*, refused: float = 0.01, late: float = 0.0, lost: int = 0, kept: int = 3) -> Overload:
    """300 requests a second, `kept` of nine accepted; seconds until a refusal, and by which all were sent late."""
    due = np.arange(0, SECONDS, 1 / 300)
    good = np.arange(len(due)) % 9 < kept
    answered = due + late + np.where(good, 0.5, refused)
    status = np.where(good, 200, 429).astype(np.int16)
    answered[:lost], status[:lost] = np.nan, 0
    reasons = {"closed without an answer": lost} if lost else {}
    outcome = Outcome(due, due + late, answered, status, reasons, {}, 30, 0, 0.5, SECONDS + 1)
    return Overload("fp32", {64: (PEAK, PEAK)}, 3 * PEAK, outcome, SECONDS)


def figures_of(one: Overload) -> dict[str, Figure]:
    return {figure.name.removesuffix(f"_{one.asked}"): figure for figure in one.figures()}


def test_an_overload_that_the_server_withstands_reaches_every_threshold() -> None:
    figures = figures_of(overload())
    assert all(figure.is_reached for figure in figures.values())
    measured = {name: figure.estimate.value for name, figure in figures.items() if figure.estimate}
    assert measured == {
        "overload_kept": pytest.approx(100, abs=1),
        "overload_lost": 0,
        "overload_refused_p99": pytest.approx(10),
    }
    row = json.loads(json.dumps(overload().row(), allow_nan=False))
    assert (row["requests"], row["answers"], row["lost"], row["correct"]) == (1500, {"200": 501, "429": 999}, 0, True)
    assert (row["accepted_ms"]["p99"], row["refused_ms"]["max"]) == (pytest.approx(500), pytest.approx(10))


@pytest.mark.parametrize(
    ("one", "missed"),
    [
        (overload(kept=2), "overload_kept"),
        (overload(refused=0.035), "overload_refused_p99"),
        (overload(lost=1), "overload_lost"),
        (overload(kept=9), "overload_refused_p99"),
    ],
    ids=["throughput falls", "slow refusals", "one is lost", "nothing is refused"],
)
def test_each_thing_that_goes_wrong_is_a_miss_of_its_own(one: Overload, missed: str) -> None:
    assert [name for name, figure in figures_of(one).items() if not figure.is_reached] == [missed]


def test_the_peak_is_of_the_better_number_of_clients_and_of_no_lucky_moment() -> None:
    assert replace(overload(), peaks={64: (90.0, 110.0), 256: (60.0, 130.0)}).peak == 100


def test_a_load_generator_that_fell_behind_voids_what_it_should_have_measured() -> None:
    figures = figures_of(overload(refused=-0.045, late=0.05))
    for name in ("overload_kept", "overload_refused_p99"):
        assert figures[name].estimate is not None
        assert (figures[name].is_void, figures[name].is_reached) == (True, False)


@pytest.mark.parametrize(("last", "is_flat"), [(100e6, True), (104e6, True), (106e6, False), (90e6, False)])
def test_memory_is_flat_or_not_after_warming_up(last: float, *, is_flat: bool) -> None:
    resident = np.concatenate([np.full(10, 50e6), np.full(80, 100e6), np.full(10, last)])
    none = np.zeros(0)
    figure = memory_figure("auto", Outcome(none, none, none, np.zeros(0, np.int16), {}, {}, 0, 0, 1.0, 1.0), resident)
    assert figure.is_reached is is_flat
    assert figure.details == {"warm_mib": pytest.approx(95.4), "last_mib": pytest.approx(last / 2**20, abs=0.1)}


def test_what_one_client_waits_longer_is_compared_round_by_round() -> None:
    bare = np.array([1e-3, 5e-3, 2e-3])
    http, grpc = one_client_figures("auto", {"bare": bare, "HTTP": bare + 1.2e-3, "gRPC": bare + 2e-3}, "")
    assert [figure.estimate and figure.estimate.value for figure in (http, grpc)] == pytest.approx([1.2, 2.0])
    assert (http.is_reached, grpc.is_reached) == (True, False)
    (wrong,) = one_client_figures("auto", {"bare": bare, "HTTP": bare}, "1 x another image")
    assert (wrong.is_reached, wrong.note) == (False, "1 x another image")
