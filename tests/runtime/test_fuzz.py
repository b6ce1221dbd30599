"""Hundreds of corrupted bundles: each is refused with a one-line `BundleError`, or proven to have lost nothing."""

import hashlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.bundles import Weights
from tests.support.whole_bundle import GRAPH, MANIFEST, PROBE, STAMPED, Whole, is_refused, make_whole


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, weights: Weights) -> Whole:
    return make_whole(tmp_path_factory.mktemp("fuzz") / "whole.ganport", weights)


@pytest.fixture(autouse=True)
def _mended(whole: Whole) -> Iterator[None]:
    yield
    whole.mend()


def test_the_whole_bundle_opens(whole: Whole) -> None:
    assert not is_refused(whole)


@pytest.mark.parametrize("name", STAMPED)
def test_flipped_bytes_are_refused(whole: Whole, name: str) -> None:
    rng = random.Random(name)
    for turn in range(40):
        data = bytearray(whole.files[name])
        for _ in range(rng.choice((1, 1, 2, 50))):
            data[rng.randrange(len(data))] ^= rng.randrange(1, 256)
        if data == whole.files[name]:
            continue
        (whole.path / name).write_bytes(data)
        assert is_refused(whole, (name, turn))


@pytest.mark.parametrize("name", [*STAMPED, MANIFEST])
def test_cut_and_lengthened_files_are_refused(whole: Whole, name: str) -> None:
    data, rng = whole.files[name], random.Random(name)
    lengths = [0, 1, len(data) - 1, *(rng.randrange(len(data)) for _ in range(12))]
    for damaged in [*(data[:length] for length in lengths), data + b"}", bytes(3) + data, data + data]:
        (whole.path / name).write_bytes(damaged)
        assert is_refused(whole, (name, len(damaged)))


def test_swapped_digests_are_refused(whole: Whole) -> None:
    def stamped(document: Any) -> list[Any]:
        return [*document["variants"], *document["engines"], document["probe"]]

    count = len(stamped(whole.manifest))
    for one in range(count):
        for other in range(count):
            if one == other:
                continue
            document = whole.manifest
            entries = stamped(document)
            entries[one]["sha256"], entries[other]["sha256"] = entries[other]["sha256"], entries[one]["sha256"]
            whole.write(document)
            assert is_refused(whole, (one, other))


PATHS = (
    "..", ".",
    "../whole.ganport/" + GRAPH, "/etc/passwd", "engines/../" + GRAPH, "./" + GRAPH, "engines//x", "engines/",
    "C:\\graph.onnx", "\\\\host\\share", "engines\\x", "~", "nul\0.onnx", "a" * 5000, "engines", MANIFEST, "none.onnx",
    "//" + GRAPH, "file:///etc/passwd", "..%2f" + GRAPH, "\u202egraph.onnx",
)  # fmt: skip


def test_paths_that_leave_the_bundle_or_lead_elsewhere_are_refused(whole: Whole) -> None:
    for path in PATHS:
        for holder in (("variants", 0), ("variants", 1), ("engines", 0), ("probe",)):
            document = whole.manifest
            entry = document
            for key in holder:
                entry = entry[key]
            entry["file"] = path
            whole.write(document)
            assert is_refused(whole, (path, holder))


Replace = Callable[[Path, bytes, Path], None]


def to_outside(file: Path, data: bytes, outside: Path) -> None:
    outside.write_bytes(data)
    file.symlink_to(outside)


def to_itself(file: Path, data: bytes, outside: Path) -> None:
    file.symlink_to(file.name)


def to_nothing(file: Path, data: bytes, outside: Path) -> None:
    file.symlink_to("nothing")


def a_folder(file: Path, data: bytes, outside: Path) -> None:
    file.mkdir()


def gone(file: Path, data: bytes, outside: Path) -> None:
    pass


@pytest.mark.parametrize("name", [*STAMPED, MANIFEST])
@pytest.mark.parametrize("replace", [to_outside, to_itself, to_nothing, a_folder, gone])
def test_links_that_leave_the_bundle_and_what_is_no_file_are_refused(
    whole: Whole, tmp_path: Path, name: str, replace: Replace
) -> None:
    (whole.path / name).unlink()
    replace(whole.path / name, whole.files[name], tmp_path / "outside")
    assert is_refused(whole)


@pytest.mark.parametrize("name", STAMPED)
def test_a_link_that_stays_in_the_bundle_changes_nothing(whole: Whole, name: str) -> None:
    inside = whole.path / "inside"
    inside.write_bytes(whole.files[name])
    (whole.path / name).unlink()
    (whole.path / name).symlink_to(inside)
    try:
        assert not is_refused(whole)
    finally:
        inside.unlink()


@pytest.mark.slow
def test_a_damaged_probe_with_its_digest_made_right_is_refused_or_reads_the_same(whole: Whole) -> None:
    """The archive's own checksums hold what the digest no longer does."""
    rng, refused = random.Random(3), 0
    for turn in range(80):
        data = bytearray(whole.files[PROBE])
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        kept = bytes(data) if turn % 4 else bytes(data[: rng.randrange(1, len(data))])
        document = whole.manifest
        document["probe"]["sha256"] = hashlib.sha256(kept).hexdigest()
        (whole.path / PROBE).write_bytes(kept)
        whole.write(document)
        refused += is_refused(whole, turn)
    assert refused > 60


@pytest.mark.slow
def test_flipped_bytes_of_the_manifest_are_refused_or_change_nothing_made(whole: Whole) -> None:
    rng, refused = random.Random(1), 0
    for _ in range(150):
        data = bytearray(whole.files[MANIFEST])
        place = rng.randrange(len(data))
        data[place] ^= 1 << rng.randrange(8)
        (whole.path / MANIFEST).write_bytes(data)
        refused += is_refused(whole, bytes(data[max(0, place - 30) : place + 30]))
    assert refused > 75  # the rest fell on names, dates and figures that nothing is made of


VALUES: tuple[Any, ...] = (
    None, "", " ", "x", "../x", "a\nb", "\ud800", -1, 0, 7, 2**40, 1.5, -0.0, True, [], {}, [[]], {"id": 1}, "0" * 64,
)  # fmt: skip


def places(document: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in a document."""
    keys: Any = document if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else ()
    for key in keys:
        yield (*above, key)
        yield from places(document[key], (*above, key))


@pytest.mark.slow
def test_altered_values_of_the_manifest_are_refused_or_change_nothing_made(whole: Whole) -> None:
    rng, refused = random.Random(2), 0
    every = list(places(whole.manifest))
    cases = [(place, rng.choice(VALUES)) for place in every for _ in range(3)]
    for place, value in cases:
        document = whole.manifest
        parent = document
        for key in place[:-1]:
            parent = parent[key]
        if parent[place[-1]] == value:
            continue
        parent[place[-1]] = value
        whole.write(document)
        refused += is_refused(whole, (place, value))
    assert len(cases) > 150
    assert refused > len(cases) // 2
