from dataclasses import replace
from pathlib import Path

import pytest
from ganport_bench.own_cache import own_cache
from ganport_bench.speed.subject import Subject
from ganport_bench.tuning import tune
from ganport_bench.whole.tuned import kept, tuned
from ganport_runtime import Generator
from ganport_runtime.tuning import Budget, save

from tests.bench.whole.conftest import quickly


@pytest.fixture
def subject(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Subject:
    monkeypatch.setenv("GANPORT_CACHE", str(tmp_path / "mine"))
    return Subject(bundle)


def test_the_users_record_is_taken_where_it_holds(subject: Subject, tmp_path: Path) -> None:
    with quickly():
        mine = tune(subject.bundle, budget=Budget(min_psnr_db=40.0), seconds=0.5).record
    found = kept(subject)
    assert found is not None
    with own_cache(tmp_path / "own"):
        record, how = tuned(subject, found, 0.5, lambda _step: None)
        with Generator.open(subject.bundle) as generator:
            assert generator.plan.tuned
    assert (record.created, record.digest) == (mine.created, mine.digest)
    assert how == f"by the user's record of {mine.created}, within a mean PSNR of 40 dB"
    save(replace(mine, engines={"onnxruntime": "0.1"}), subject.opened)
    assert kept(subject) is None, "engines have changed since"


def test_without_one_it_is_tuned_now_and_the_users_folder_stays_empty(subject: Subject, tmp_path: Path) -> None:
    assert kept(subject) is None
    steps: list[str] = []
    with quickly(), own_cache(tmp_path / "own"):
        record, how = tuned(subject, None, 0.5, steps.append)
    assert record.plans
    assert how.startswith("now, in 0 s, within ")
    assert steps[0].startswith("tuning, 0 of ")
    assert not (tmp_path / "mine").exists()


def test_a_record_of_less_than_the_promised_quality_is_left_aside(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    with quickly():
        tune(subject.bundle, budget=Budget(min_psnr_db=35.0), seconds=0.5)
    assert kept(subject) is not None, "hardly trained: any will do"
    monkeypatch.setattr("ganport_bench.speed.subject.TRAINED_STEPS", 1)
    assert kept(subject) is None
