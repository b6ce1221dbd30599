"""Hundreds of corrupted manifests: each is refused with a one-line `BundleError`, or proven to have lost nothing."""

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.bundles import Weights
from tests.support.whole_bundle import MANIFEST, Whole, is_refused, make_whole


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, weights: Weights) -> Whole:
    return make_whole(tmp_path_factory.mktemp("fuzz") / "whole.ganport", weights)


@pytest.fixture(autouse=True)
def _mended(whole: Whole) -> Iterator[None]:
    yield
    whole.mend()


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


def test_missing_values_of_the_manifest_are_refused_or_change_nothing_made(whole: Whole) -> None:
    every, refused = list(places(whole.manifest)), 0
    for place in every:
        document = whole.manifest
        parent = document
        for key in place[:-1]:
            parent = parent[key]
        del parent[place[-1]]
        whole.write(document)
        refused += is_refused(whole, place)
    assert refused > 0.7 * len(every)


def test_documents_that_are_no_manifest_are_refused(whole: Whole) -> None:
    text = whole.files[MANIFEST].decode()
    for damaged in (
        "[]", "null", "0", '""', "{}", "{" * 100_000, "[" * 100_000, text.replace("1024", "NaN"),
        text.replace("1024", "1e999"), text.replace("{", '{"format": 1, "format": 1,', 1), text + text,
        "\ufeff" + text, text.replace(":", ";"), text.replace("1024", "9" * 5000),
    ):  # fmt: skip
        (whole.path / MANIFEST).write_text(damaged, encoding="utf-8")
        assert is_refused(whole, damaged[:50])


def test_other_white_space_changes_nothing(whole: Whole) -> None:
    (whole.path / MANIFEST).write_text(json.dumps(whole.manifest, indent=3), encoding="utf-8")
    assert not is_refused(whole)
