import pytest
from ganport_bench.errors import BenchError
from ganport_bench.speed.selection import Chosen, choose

from tests.bench.speed.fakes import QUICKEST, FakeContender, FakeSession, judge, off_by

FAST, SLOW = 0.001, 0.006


def chosen(contender: FakeContender) -> Chosen:
    return choose(contender, 8, judge(), QUICKEST)


def test_the_fastest_setting_is_chosen_and_the_others_are_closed() -> None:
    contender = FakeContender(
        "one", {"slow": FakeSession(SLOW), "fast": FakeSession(FAST), "slower": FakeSession(0.01)}
    )
    best = chosen(contender)
    assert best.settings == {"is": "fast"}
    assert best.tried == 3
    assert [session.is_closed for session in contender.opened] == [True, False, True]


def test_a_fast_wrong_setting_is_not_chosen() -> None:
    contender = FakeContender("one", {"wrong": FakeSession(FAST, off_by(9)), "right": FakeSession(SLOW)})
    assert chosen(contender).settings == {"is": "right"}


def test_where_all_are_wrong_the_fastest_is_shown_as_wrong() -> None:
    contender = FakeContender("one", {"slow": FakeSession(SLOW, off_by(9)), "fast": FakeSession(FAST, off_by(9))})
    best = chosen(contender)
    assert best.settings == {"is": "fast"}
    assert best.verdict.wrong


def test_of_right_settings_those_of_the_promised_quality_come_first() -> None:
    """36 dB is right for int8, and 38 dB are promised."""
    sessions = {"36 dB": FakeSession(FAST, off_by(4), "int8"), "42 dB": FakeSession(SLOW, off_by(2), "int8")}
    assert chosen(FakeContender("one", sessions)).settings == {"is": "42 dB"}


def test_a_setting_that_cannot_be_opened_is_told() -> None:
    contender = FakeContender("one", {"broken": RuntimeError("no streams\nmore"), "fine": FakeSession(SLOW)})
    best = chosen(contender)
    assert (best.settings, best.tried, best.refused) == ({"is": "fine"}, 1, ["no streams"])


def test_a_contender_that_is_not_here_or_cannot_be_opened_says_why() -> None:
    with pytest.raises(BenchError, match="not installed"):
        chosen(FakeContender("one", {"fine": FakeSession(FAST)}, reason="not installed"))
    with pytest.raises(BenchError, match=r"^no streams; ValueError$"):
        chosen(
            FakeContender("one", {"a": RuntimeError("no streams"), "b": ValueError(), "c": RuntimeError("no streams")})
        )
    with pytest.raises(BenchError, match="no setting"):
        chosen(FakeContender("one", {}))


def test_an_interrupt_closes_what_was_open() -> None:
    contender = FakeContender("one", {"fine": FakeSession(FAST), "then": KeyboardInterrupt()})
    with pytest.raises(KeyboardInterrupt):
        chosen(contender)
    assert contender.opened[0].is_closed
