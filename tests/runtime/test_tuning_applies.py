"""Whether a tuning record applies: where not, the plan says what has changed or what is damaged."""

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from ganport_runtime import fingerprint

from tests.support.bundles import read_manifest, write_manifest
from tests.support.records import ONNXRUNTIME, OPENVINO, note, write_record

pytestmark = pytest.mark.usefixtures("cache")


def test_without_a_record_that_is_said(variety: Path, cache: Path) -> None:
    assert note(variety).startswith("not tuned: the safest fast default, nothing was measured on this machine")


def test_another_machine_is_said(variety: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cores = fingerprint.machine()["cores"]
    write_record(variety, OPENVINO)
    monkeypatch.setattr(fingerprint, "usable_cores", lambda: 96)
    said = note(variety)
    assert "not tuned: the tuning record does not apply, since 2026-11-23" in said
    assert f"cores is 96, it was {cores}" in said
    assert f"run ganport tune {variety} again" in said


def test_another_gpu_is_said(variety: Path) -> None:
    write_record(variety, OPENVINO, machine={**fingerprint.machine(), "gpus": ["NVIDIA H100, driver 570"]})
    assert "gpus is none, it was NVIDIA H100, driver 570" in note(variety)


def test_another_engine_version_is_said(variety: Path) -> None:
    now = fingerprint.engines()
    write_record(variety, OPENVINO, engines={**now, "onnxruntime": "1.2.3"})
    assert f"onnxruntime is {now['onnxruntime']}, it was 1.2.3" in note(variety)
    write_record(variety, OPENVINO, engines={**now, "tensorrt": "10.1"})
    assert "tensorrt is not there, it was 10.1" in note(variety)


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


@pytest.mark.parametrize(("damage"), [damage for _, damage in damages()], ids=[name for name, _ in damages()])
def test_a_damaged_record_is_said_and_never_fatal(variety: Path, damage: Callable[[bytes], bytes]) -> None:
    file = write_record(variety, OPENVINO)
    file.write_bytes(damage(file.read_bytes()))
    said = note(variety)
    assert f"not tuned: the tuning record does not apply, the tuning record {file} is damaged: " in said
    assert "\n" not in said
