import pytest
from ganport_bench.speed.comparison import compare_at
from ganport_bench.speed.summary import summarize

from tests.bench.speed.fakes import QUICKEST, FakeContender, FakeSession, judge, off_by


def contender(name: str, session: FakeSession, **facts: object) -> FakeContender:
    return FakeContender(name, {"only": session}, **facts)  # type: ignore[arg-type]


def test_systems_of_known_duration_are_measured_as_that() -> None:
    contenders = [contender("slow", FakeSession(0.012)), contender("fast", FakeSession(0.004), kind="plan")]
    comparison = compare_at(contenders, 4, judge(), QUICKEST)
    speeds = {one.name: one.images_per_second.value for one in comparison.measured}
    assert 4 / 0.012 / 4 < speeds["slow"] <= 4 / 0.012, "sleeping takes longer, never less"
    assert 4 / 0.004 / 4 < speeds["fast"] <= 4 / 0.004
    slow, fast = comparison.measured
    assert (slow.kind, fast.kind, fast.batch, fast.settings, fast.tried) == ("peer", "plan", 4, {"is": "only"}, 1)
    assert len(fast.taken.seconds) == QUICKEST.rounds
    assert len(fast.calls) % QUICKEST.rounds == 0
    assert fast.calls.min() >= 0.004


def test_who_cannot_run_is_listed_with_the_reason_and_the_others_run() -> None:
    contenders = [
        contender("absent", FakeSession(0.0), reason="not installed"),
        FakeContender("broken", {"only": RuntimeError("cannot load")}),
        contender("there", FakeSession(0.001)),
    ]
    comparison = compare_at(contenders, 4, judge(), QUICKEST)
    assert comparison.missing == {"absent": "not installed", "broken": "cannot load"}
    assert [one.name for one in comparison.measured] == ["there"]


def test_nobody_is_a_result_too() -> None:
    comparison = compare_at([contender("absent", FakeSession(0.0), reason="gone")], 4, judge(), QUICKEST)
    assert comparison.measured == []
    assert summarize(comparison.measured).best_peer is None


def test_a_fast_wrong_answer_is_shown_and_is_never_the_best() -> None:
    contenders = [contender("wrong", FakeSession(0.001, off_by(9))), contender("right", FakeSession(0.006))]
    comparison = compare_at(contenders, 4, judge(), QUICKEST)
    wrong, right = comparison.measured
    assert wrong.images_per_second.value > right.images_per_second.value
    assert wrong.verdict.wrong
    best = summarize(comparison.measured).best_peer
    assert best is not None
    assert best.name == "right"


def test_every_session_is_closed_at_the_end_and_after_an_error() -> None:
    contenders = [contender("one", FakeSession(0.001)), contender("two", FakeSession(0.001))]
    compare_at(contenders, 4, judge(), QUICKEST)
    assert all(session.is_closed for one in contenders for session in one.opened)

    fine = contender("fine", FakeSession(0.001))
    with pytest.raises(KeyboardInterrupt):
        compare_at([fine, FakeContender("then", {"only": KeyboardInterrupt()})], 4, judge(), QUICKEST)
    assert fine.opened[0].is_closed


def test_steps_are_told() -> None:
    steps: list[str] = []
    compare_at([contender("one", FakeSession(0.001))], 4, judge(), QUICKEST, steps.append)
    assert steps == ["batch 4: the best setting of one", "batch 4: 1 systems in turns"]
