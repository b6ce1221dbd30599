import json
import shutil
from pathlib import Path

import pytest
from ganport_bench.errors import BenchError
from ganport_bench.peers.bundle_source import BundleSource
from ganport_bench.peers.source import NetworkSource
from ganport_bench.speed.subject import Subject, subject_of
from ganport_runtime import Bundle

from tests.support.tiny_run import make_tiny_run


def given(target: Path, bundle: Path | None, folder: Path) -> Subject:
    return subject_of(target, bundle, folder, lambda _step: None)


def test_a_bundle_is_measured_without_its_run(bundle: Path, tmp_path: Path) -> None:
    subject = given(bundle, None, tmp_path)
    assert isinstance(subject.source, BundleSource)
    assert subject.to_json() == {
        "run": None,
        "bundle": str(bundle),
        "bundle_digest": Bundle.open(bundle).digest,
        "is_trained": False,
    }


def test_a_run_and_its_bundle_are_taken_as_they_are(run: Path, bundle: Path, tmp_path: Path) -> None:
    subject = given(run, bundle, tmp_path)
    assert (subject.run, subject.bundle) == (run, bundle)
    assert isinstance(subject.source, NetworkSource)
    assert not list(tmp_path.iterdir())


def test_a_bundle_of_another_run_is_refused(bundle: Path, tmp_path: Path) -> None:
    other = make_tiny_run(tmp_path / "other", seed=1)
    with pytest.raises(BenchError, match=r"was not exported from .*name the run and the bundle that was exported from"):
        given(other, bundle, tmp_path)


def test_what_is_not_given_is_made(run: Path, tmp_path: Path) -> None:
    """The whole bundle, every form and precision that the export offers."""
    steps: list[str] = []
    subject = subject_of(run, None, tmp_path, steps.append)
    ids = {variant.id for variant in subject.opened.manifest.variants}
    assert {"generator-deconv-fp32", "generator-phase-fp32", "generator-phase-int8-s8s8"} <= ids
    assert subject.bundle.is_relative_to(tmp_path)
    assert steps == [f"no bundle was given: exporting {run}"]


def test_two_bundles_are_one_too_many(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="goes with a run directory"):
        given(bundle, tmp_path / "other.ganport", tmp_path)


def test_what_is_neither_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"holds neither manifest\.json nor config\.json; name a bundle, or the run"):
        given(tmp_path, None, tmp_path)
    with pytest.raises(BenchError, match="absent is missing; name a bundle"):
        given(tmp_path / "absent", None, tmp_path)


@pytest.mark.parametrize(("training", "is_trained"), [({"steps": 99}, False), ({"steps": 100}, True), ({}, True)])
def test_images_mean_something_after_some_steps_or_where_nothing_is_known(
    bundle: Path, tmp_path: Path, training: dict[str, int], is_trained: bool
) -> None:
    copy = Path(shutil.copytree(bundle, tmp_path / "copy.ganport"))
    manifest = json.loads((copy / "manifest.json").read_text("utf-8"))
    (copy / "manifest.json").write_text(json.dumps({**manifest, "training": training}))
    assert given(copy, None, tmp_path).is_trained is is_trained
