"""Systems are checked, each at its best setting, and timed in rounds that go on where intervals are wide."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from ganport_bench import comparison
from ganport_bench.comparison import ChosenSetting, RoundTimes, best_of, choose, compare_at, speedup, take_rounds
from ganport_bench.errors import BenchError
from ganport_bench.subject import Latents, Pixels

from tests.bench.fake_systems import FakeSession, measured, off_by, reference, right, system
from tests.support.tiny_run import QUICKEST

FAST, SLOW = 0.001, 0.006
ROUNDS = replace(QUICKEST, rounds=6, batch_seconds=50.0)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "PAUSE_SECONDS", 0.0)


# ---- accuracy ----------------------------------------------------------------------------------------------------


def test_right_images_are_right_and_run_at_the_batch_size_that_is_timed() -> None:
    session = FakeSession(0.0)
    check = reference(32).check(session, batch=8, images=20)
    assert (check.wrong, check.psnr_db) == ("", 100)
    assert check.difference is not None
    assert check.difference.images == 16
    assert session.batches == {8}
    one_batch = reference(32).check(FakeSession(0.0), batch=32, images=8).difference
    assert one_batch is not None
    assert one_batch.images == 32, "at least one batch is compared"


@pytest.mark.parametrize(
    ("precision", "amount", "is_right"),
    [("fp32", 0, True), ("fp32", 1, False), ("bf16", 4, True), ("bf16", 16, False), ("int8", 4, True)],
)
def test_fp32_is_held_to_rounding_and_others_to_the_floor(precision: str, amount: int, is_right: bool) -> None:
    check = reference().check(FakeSession(0.0, off_by(amount), precision), batch=8, images=16)
    assert (check.wrong == "") is is_right


def test_one_image_of_noise_among_right_ones_is_wrong() -> None:
    def last_is_noise(z: Latents) -> Pixels:
        return np.concatenate([right(z[:-1]), 255 - right(z[-1:])])

    check = reference().check(FakeSession(0.0, last_is_noise), batch=8, images=16)
    assert check.psnr_db is not None
    assert check.psnr_db > 55, "the mean does not show it"
    assert check.wrong


def test_images_of_another_kind_are_wrong() -> None:
    def in_floats(z: Latents) -> Pixels:
        return right(z).astype(np.float32)

    def with_channels_first(z: Latents) -> Pixels:
        return right(z).transpose(0, 3, 1, 2)

    for make, wanted in ((in_floats, "float32"), (with_channels_first, r"(8, 3, 4, 4)")):
        check = reference().check(FakeSession(0.0, make), batch=8, images=16)
        assert wanted in check.wrong
        assert check.psnr_db is None


# ---- the best setting --------------------------------------------------------------------------------------------


def chosen(sessions: Mapping[str, FakeSession | BaseException], reason: str | None = None) -> ChosenSetting:
    return choose(system("one", sessions, reason=reason), 8, reference(), QUICKEST)


def test_the_fastest_setting_is_chosen_and_the_others_are_closed() -> None:
    sessions = {"slow": FakeSession(SLOW), "fast": FakeSession(FAST), "slower": FakeSession(0.01)}
    best = chosen(sessions)
    assert (best.settings, best.tried) == ({"is": "fast"}, 3)
    assert [session.is_closed for session in sessions.values()] == [True, False, True]


@pytest.mark.parametrize(
    ("fast", "slow", "precision", "expected"),
    [
        (off_by(9), right, "int8", "slow"),  # a fast wrong one is not chosen
        (off_by(1), right, "fp32", "slow"),  # 48 dB is wrong for fp32
        (off_by(9), off_by(9), "int8", "fast"),  # where all are wrong the fastest is shown
        (off_by(4), off_by(2), "int8", "slow"),  # 36 dB is right for int8, and 38 dB are wanted
    ],
)
def test_right_comes_before_fast(
    fast: Callable[[Latents], Pixels], slow: Callable[[Latents], Pixels], precision: str, expected: str
) -> None:
    best = chosen({"fast": FakeSession(FAST, fast, precision), "slow": FakeSession(SLOW, slow, precision)})
    assert best.settings == {"is": expected}


def test_a_setting_that_cannot_be_opened_is_told_and_one_whose_check_fails_is_closed() -> None:
    def fails(_z: Latents) -> Pixels:
        raise RuntimeError("no memory")

    failing = FakeSession(FAST, fails)
    best = chosen({"broken": RuntimeError("no streams\nmore"), "failing": failing, "fine": FakeSession(SLOW)})
    assert (best.settings, best.tried, best.refused) == ({"is": "fine"}, 1, ["no streams", "no memory"])
    assert failing.is_closed


def test_a_system_that_is_not_here_or_cannot_be_opened_says_why() -> None:
    with pytest.raises(BenchError, match="not installed"):
        chosen({"fine": FakeSession(FAST)}, reason="not installed")
    with pytest.raises(BenchError, match=r"^no streams; ValueError$"):
        chosen({"a": RuntimeError("no streams"), "b": ValueError(), "c": RuntimeError("no streams")})
    with pytest.raises(BenchError, match="no setting"):
        chosen({})


def test_an_interrupt_closes_what_was_open() -> None:
    fine = FakeSession(FAST)
    with pytest.raises(KeyboardInterrupt):
        chosen({"fine": fine, "then": KeyboardInterrupt()})
    assert fine.is_closed


# ---- all systems -------------------------------------------------------------------------------------------------


def test_systems_of_known_duration_are_measured_as_that_and_closed() -> None:
    sessions = {"slow": FakeSession(0.012), "fast": FakeSession(0.004)}
    systems = [system("slow", {"only": sessions["slow"]}), system("fast", {"only": sessions["fast"]}, kind="plan")]
    found = compare_at(systems, 4, reference(), QUICKEST)
    slow, fast = found.measured
    assert 4 / 0.012 / 4 < slow.images_per_second.value <= 4 / 0.012, "sleeping takes longer, never less"
    assert 4 / 0.004 / 4 < fast.images_per_second.value <= 4 / 0.004
    assert (slow.kind, fast.kind, fast.batch, fast.settings, fast.tried) == ("peer", "plan", 4, {"is": "only"}, 1)
    assert len(fast.taken.seconds) == QUICKEST.rounds
    assert len(fast.calls) % QUICKEST.rounds == 0
    assert fast.calls.min() >= 0.004
    assert all(session.is_closed for session in sessions.values())


def test_who_cannot_run_is_listed_with_the_reason_and_the_others_run() -> None:
    systems = [
        system("absent", {"only": FakeSession(0.0)}, reason="not installed"),
        system("broken", {"only": RuntimeError("cannot load")}),
        system("there", {"only": FakeSession(0.001)}),
    ]
    found = compare_at(systems, 4, reference(), QUICKEST)
    assert found.missing == {"absent": "not installed", "broken": "cannot load"}
    assert [one.name for one in found.measured] == ["there"]
    nobody = compare_at(systems[:1], 4, reference(), QUICKEST)
    assert (nobody.measured, best_of(nobody.measured)["best_peer"]) == ([], None)


def test_a_fast_wrong_answer_is_shown_and_is_never_the_best() -> None:
    systems = [system("wrong", {"only": FakeSession(0.001, off_by(9))}), system("right", {"only": FakeSession(0.006)})]
    wrong, good = compare_at(systems, 4, reference(), QUICKEST).measured
    assert wrong.images_per_second.value > good.images_per_second.value
    assert wrong.check.wrong
    assert best_of([wrong, good])["best_peer"] is good


# ---- rounds ------------------------------------------------------------------------------------------------------


class Machine:
    """A clock that systems move: each takes its seconds in turn, over and over."""

    def __init__(self) -> None:
        self.now, self.order = 0.0, list[str]()

    def __call__(self) -> float:
        return self.now

    def system(self, name: str, *seconds: float) -> Callable[[], float]:
        calls = iter(range(10**6))

        def run() -> float:
            taken = seconds[next(calls) % len(seconds)]
            self.now += taken
            self.order.append(name)
            return taken

        return run


def best_is(*names: str) -> Callable[[Mapping[str, RoundTimes]], Sequence[str]]:
    return lambda _taken: names


def test_where_all_are_narrow_the_first_rounds_are_all() -> None:
    machine = Machine()
    taken = take_rounds({"a": machine.system("a", 1.0), "b": machine.system("b", 2.0)}, ROUNDS, best_is("a"), machine)
    assert [len(one.seconds) for one in taken.values()] == [6, 6]
    assert machine.now == pytest.approx(7 * 3.0), "one round for warming up, six that count"


def test_who_is_wide_goes_on_beside_the_best_until_time_is_over() -> None:
    machine = Machine()
    systems = {
        "best": machine.system("best", 1.0),
        "steady": machine.system("steady", 1.0),
        "restless": machine.system("restless", 1.0, 2.0),
    }
    taken = take_rounds(systems, ROUNDS, best_is("best"), machine)
    assert len(taken["steady"].seconds) == 6
    assert len(taken["restless"].seconds) == len(taken["best"].seconds) > 15
    np.testing.assert_array_equal(taken["best"].rounds, np.arange(len(taken["best"].rounds)))
    assert taken["restless"].is_wide
    assert 50 <= machine.now < 50 + 4 * 3, "the step that was begun is finished, none is begun after that"
    assert set(machine.order[-8:]) == {"best", "restless"}


def test_who_becomes_narrow_stops() -> None:
    """Three slow rounds among the first are wide; among many they are not."""
    machine = Machine()
    values = [1.0, 1.5, 1.5, 1.5, *[1.0] * 1000]
    systems = {"best": machine.system("best", 1.0), "calm": machine.system("calm", *values)}
    taken = take_rounds(systems, ROUNDS, best_is("best"), machine)
    assert 6 < len(taken["calm"].seconds) < 30
    assert not taken["calm"].is_wide
    assert machine.now < 50


def test_a_ratio_is_of_the_rounds_that_both_took_part_in() -> None:
    """The machine was twice as slow in the rounds that the peer had to itself."""
    peer = measured("peer", [4.0, 4.0, 2.0, 3.0])
    plan = measured("plan", [1.0, 1.5, 9.0], kind="plan", first_round=2)
    found = speedup(plan, peer)
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((2.0, 2.0, 2.0))
    assert speedup(None, peer) is None
