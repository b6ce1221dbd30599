from dataclasses import replace
from pathlib import Path

import pytest
from ganport_bench.records import own_cache, tuned, user_record
from ganport_runtime import Bundle, Generator
from ganport_runtime.tuning.record import Budget, save
from ganport_runtime.tuning.tuner import tune


@pytest.fixture
def tiny(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    monkeypatch.setenv("GANPORT_CACHE", str(tmp_path / "mine"))
    monkeypatch.setattr("ganport_runtime.tuning.tuner.TURN_SECONDS", 0.001)
    monkeypatch.setattr("ganport_runtime.tuning.tuner.ROUNDS", 2)
    return Bundle.open(bundle)


def test_the_users_record_is_taken_where_it_holds(tiny: Bundle, tmp_path: Path) -> None:
    mine = tune(tiny.path, budget=Budget(min_psnr_db=40.0), seconds=0.5).record
    found = user_record(tiny)
    assert found is not None
    with own_cache(tmp_path / "own"):
        record, how = tuned(tiny, found, 0.5)
        with Generator.open(tiny.path) as generator:
            assert generator.plan.tuned
    assert (record.created, record.digest) == (mine.created, mine.digest)
    assert how == f"by the user's record of {mine.created}, within a mean PSNR of 40 dB"
    save(replace(mine, engines={"onnxruntime": "0.1"}), tiny)
    assert user_record(tiny) is None, "engines have changed since"


def test_without_one_it_is_tuned_now_and_the_users_folder_stays_empty(tiny: Bundle, tmp_path: Path) -> None:
    assert user_record(tiny) is None
    steps: list[str] = []
    with own_cache(tmp_path / "own"):
        record, how = tuned(tiny, None, 0.5, steps.append, least_db=0.0)
    assert record.plans
    assert how.startswith("now, in 0 s, within ")
    assert steps[0].startswith("tuning, 0 of ")
    assert not (tmp_path / "mine").exists()


def test_a_record_of_less_than_the_wanted_quality_is_left_aside(tiny: Bundle) -> None:
    tune(tiny.path, budget=Budget(min_psnr_db=35.0), seconds=0.5)
    assert user_record(tiny, 35.0) is not None
    assert user_record(tiny, 38.0) is None
