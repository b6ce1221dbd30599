"""Whether a tuning record applies: where not, the plan says what has changed or what is damaged."""

import json
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ganport_runtime import Generator, machine
from ganport_runtime.backends import engine_versions
from ganport_runtime.batches import BUCKETS

from tests.support.bundles import read_manifest, write_manifest
from tests.support.records import ONNXRUNTIME, OPENVINO, note, write_record

pytestmark = pytest.mark.usefixtures("cache")


def test_another_machine_is_said(variety: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cores = machine.facts()["cores"]
    write_record(variety, OPENVINO)
    monkeypatch.setattr(machine, "usable_cores", lambda: 96)
    said = note(variety)
    assert "not tuned: the tuning record does not apply, since 2026-11-23" in said
    assert f"cores is 96, it was {cores}" in said
    assert f"run ganport tune {variety} again" in said


def test_another_gpu_ends_what_was_measured_on_a_gpu_alone(variety: Path) -> None:
    before = {**machine.facts(), "gpus": ["NVIDIA H100, driver 570"]}
    write_record(variety, OPENVINO, machine=before)
    assert note(variety).startswith("tuned")
    write_record(variety, replace(ONNXRUNTIME, device="cuda", options={"cuda_graph": "on"}), OPENVINO, machine=before)
    assert "gpus is none, it was NVIDIA H100, driver 570" in note(variety)


def test_another_version_of_the_plans_own_engine_is_said(variety: Path) -> None:
    now = engine_versions()
    write_record(variety, OPENVINO, engines={**now, "openvino": "1.2.3"})
    assert f"openvino is {now['openvino']}, it was 1.2.3" in note(variety)


@pytest.mark.parametrize("engines", [{"tensorrt": "10.1", "tensorrt-rtx": "0.9"}, {"onnxruntime": "1.2.3"}])
def test_engines_that_the_plan_does_not_use_may_come_and_go(variety: Path, engines: dict[str, str]) -> None:
    write_record(variety, OPENVINO, engines={**engine_versions(), **engines})
    with Generator.open(variety) as generator:
        assert (generator.plan.backend, generator.plan.tuned) == ("openvino", True)


def test_an_engine_that_is_new_since_is_mentioned(variety: Path) -> None:
    now = engine_versions()
    write_record(variety, OPENVINO, engines={"openvino": now["openvino"]})
    said = note(variety)
    assert said.startswith("tuned")
    assert f"onnxruntime {now['onnxruntime']}" in said
    assert "ganport tune" in said


def test_a_plan_whose_engine_changed_is_passed_over_where_another_is_the_best(variety: Path) -> None:
    slower = replace(OPENVINO, images_per_second=dict.fromkeys(BUCKETS, 50.0))
    write_record(variety, ONNXRUNTIME, slower, engines={**engine_versions(), "openvino": "1.2.3"})
    assert note(variety).startswith("tuned")
    assert note(variety, backend="openvino").startswith("not tuned: the tuning record does not apply, since")


def test_another_bundle_in_the_same_place_is_said(variety: Path) -> None:
    write_record(variety, OPENVINO)
    document = read_manifest(variety)
    document["created"] = "2027-01-01T00:00:00+00:00"
    write_manifest(variety, document)
    assert "not tuned: the tuning record does not apply, the bundle was changed since it was tuned" in note(variety)


def test_a_copy_of_the_bundle_is_the_same_bundle(variety: Path, tmp_path: Path) -> None:
    write_record(variety, OPENVINO)
    assert note(Path(shutil.copytree(variety, tmp_path / "copy.ganport"))).startswith("tuned")


def test_a_newer_record_takes_the_place_of_the_one_of_an_older_bundle(variety: Path, cache: Path) -> None:
    write_record(variety, OPENVINO)
    document = read_manifest(variety)
    document["created"] = "2027-01-01T00:00:00+00:00"
    write_manifest(variety, document)
    file = write_record(variety, ONNXRUNTIME)
    assert list((cache / "tuning").iterdir()) == [file]
    assert note(variety).startswith("tuned")


def replaced(old: bytes, new: bytes, data: bytes) -> bytes:
    return data.replace(old, new)


def damages() -> Iterable[tuple[str, Callable[[bytes], bytes]]]:
    def changed(**fields: Any) -> Callable[[bytes], bytes]:
        return lambda data: json.dumps({**json.loads(data), **fields}).encode()

    yield "empty", lambda _: b""
    yield "cut", lambda data: data[: len(data) // 2]
    yield "no JSON", lambda data: b"\xff\xfe" + data
    yield "a list", lambda _: b"[]"
    yield "another format", changed(format=2)
    yield "plans are text", changed(plans="all")
    yield "a plan is a number", changed(plans=[7])
    yield "no budget", changed(budget=None)
    yield "a machine that is none", changed(machine=[])
    yield "a budget that is none", changed(budget={"min_psnr_db": -1, "max_worst": None})
    yield "an engine of two lines", changed(engines={"openvino": "1\n2"})
    yield "another bundle's content", changed(digest="0" * 64)
    yield "another network's content", changed(role="discriminator")
    for speed in (0, -1.0):
        yield f"a speed of {speed}", partial(replaced, b'"64": 100.0', f'"64": {speed}'.encode())


@pytest.mark.parametrize(("damage"), [damage for _, damage in damages()], ids=[name for name, _ in damages()])
def test_a_damaged_record_is_said_and_never_fatal(variety: Path, damage: Callable[[bytes], bytes]) -> None:
    file = write_record(variety, OPENVINO)
    file.write_bytes(damage(file.read_bytes()))
    said = note(variety)
    assert f"not tuned: the tuning record does not apply, the tuning record {file} is damaged: " in said
    assert "\n" not in said


def test_an_engines_name_of_two_lines_leaves_the_note_in_one(variety: Path) -> None:
    write_record(variety, OPENVINO, engines={**engine_versions(), "openvino": "1\t of\u2028old"})
    said = note(variety)
    assert said.startswith("not tuned")
    assert "\n" not in said


def test_a_bundles_own_record_comes_before_a_newer_one_of_its_copy(variety: Path, tmp_path: Path) -> None:
    own = write_record(variety, ONNXRUNTIME)
    copy = Path(shutil.copytree(variety, tmp_path / "copy.ganport"))
    newer = write_record(copy, OPENVINO)
    os.utime(own, (1, 1))
    for path, backend in ((variety, "onnxruntime"), (copy, "openvino")):
        with Generator.open(path) as generator:
            assert generator.plan.backend == backend
    own.write_bytes(b"damaged")
    with Generator.open(variety) as generator:
        assert (generator.plan.backend, generator.plan.tuned) == ("openvino", True)
    newer.unlink()
    assert "is damaged" in note(variety)
