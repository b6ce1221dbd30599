"""The manifest's one schema, both ways, and every way to break it."""

import copy
import json
from contextlib import suppress
from typing import Any

import pytest
from ganport_runtime import BundleError
from ganport_runtime.manifest import CompiledEngine, Manifest, Variant, parse_json
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.bundles import make_manifest, make_weights

DIGEST = "0" * 64


def manifest() -> Manifest:
    variants = [
        Variant("g", "generator", "g.onnx", DIGEST, "fp32", "deconv", {"psnr_db": 99.5}),
        Variant("d", "discriminator", "sub/d.onnx", DIGEST, "fp32", "conv"),
    ]
    made = make_manifest(make_weights(), variants)
    engine = CompiledEngine(
        "e", "g", "engines/e.engine", DIGEST, "rtx", "1.7", ("8.9",), ({"batch": [1, 64]},), {"stripped": True}
    )
    return Manifest(**{**vars(made), "engines": (engine,)})


def document() -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(json.dumps(manifest().to_json()))
    return parsed


def test_it_reads_back_what_it_wrote() -> None:
    assert Manifest.from_json(document()) == manifest()


def test_it_is_written_as_the_architecture_says() -> None:
    written = document()
    assert list(written) == [
        "format", "name", "created", "toolchain", "training", "generator", "discriminator", "variants", "engines",
    ]  # fmt: skip
    assert written["format"] == 1
    assert written["generator"] == {
        "latent": {"dim": 12, "distribution": "normal"},
        "image": {"height": 16, "width": 16, "channels": 3},
    }
    assert written["discriminator"]["features"] == {"dim": 10, "pooling": "none"}
    assert set(written["variants"][0]) == {"id", "role", "file", "sha256", "precision", "form", "parity"}
    assert written["engines"][0]["stripped"] is True


def test_a_bundle_may_have_no_discriminator() -> None:
    changed = document()
    del changed["discriminator"]
    changed["variants"] = changed["variants"][:1]
    assert Manifest.from_json(changed).discriminator is None
    assert Manifest.from_json(changed).to_json()["discriminator"] is None


REQUIRED = """
format name created toolchain training generator discriminator variants engines
generator.latent generator.latent.dim generator.latent.distribution generator.image.height
discriminator.image.channels discriminator.features.dim discriminator.features.pooling
variants.0.id variants.0.role variants.0.file variants.1.sha256 variants.1.precision variants.1.form variants.1.parity
engines.0.variant engines.0.library engines.0.compute_capabilities engines.0.profiles
"""


@pytest.mark.parametrize("name", REQUIRED.split())
def test_no_field_may_be_missing_or_of_another_kind(name: str) -> None:
    place = [int(step) if step.isdigit() else step for step in name.split(".")]
    for wrong in ("absent", 2.5, True, [1], [], "", -1, "\ud800", "a\nb", 2**40):
        changed = document()
        holder: Any = changed
        for step in place[:-1]:
            holder = holder[step]
        if wrong == "absent":
            del holder[place[-1]]
        else:
            holder[place[-1]] = wrong
        if wrong == [] and place[-1] in ("engines", "compute_capabilities", "profiles"):
            continue  # an empty list is a list
        with pytest.raises(BundleError) as caught:
            Manifest.from_json(changed)
        assert "\n" not in str(caught.value)
        assert str(place[-1]) in str(caught.value) or place == ["discriminator"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format is 2, this version of ganport reads format 1"),
        ({"format": "1"}, "format is '1'"),
        ({"format": True}, "format is True"),
        ({"variants": []}, "variants holds no generator"),
        ({"discriminator": None}, "discriminator and variants disagree"),
        ({"toolchain": {"torch": 2}}, "toolchain.torch is 2"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleError) as caught:
        Manifest.from_json(document() | change)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("role", "critic", "wanted one of generator, discriminator"),
        ("precision", "fp8", "wanted one of fp32, fp16, int8"),
        ("id", "d", "two entries have the id 'd'"),
        ("file", "sub/d.onnx", "two entries have the file 'sub/d.onnx'"),
        ("sha256", "0" * 63, "64 lowercase hexadecimal digits"),
        ("sha256", "A" * 64, "64 lowercase hexadecimal digits"),
    ],
)
def test_a_variants_values_are_checked(key: str, value: str, message: str) -> None:
    changed = document()
    changed["variants"][0][key] = value
    with pytest.raises(BundleError) as caught:
        Manifest.from_json(changed)
    assert message in str(caught.value)


def test_an_engine_of_a_variant_that_is_not_there_is_refused() -> None:
    changed = document()
    changed["engines"][0]["variant"] = "x"
    with pytest.raises(BundleError, match="engine 'e' is built from variant 'x', which is not listed"):
        Manifest.from_json(changed)


def test_an_unknown_latent_distribution_is_refused() -> None:
    changed = document()
    changed["generator"]["latent"]["distribution"] = "uniform"
    with pytest.raises(BundleError, match=r"generator\.latent\.distribution is 'uniform', wanted one of normal"):
        Manifest.from_json(changed)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_any_value_in_any_place_is_read_or_a_bundle_error(data: Any) -> None:
    changed = copy.deepcopy(document())
    node: Any = changed
    while True:
        key = data.draw(st.sampled_from(list(node) if isinstance(node, dict) else list(range(len(node)))))
        if not isinstance(node[key], dict | list) or not node[key] or data.draw(st.booleans()):
            break
        node = node[key]
    node[key] = data.draw(values)
    with suppress(BundleError):
        read = Manifest.from_json(changed)
        assert Manifest.from_json(json.loads(json.dumps(read.to_json()))) == read


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "malformed JSON"),
        (b"{", "malformed JSON"),
        (b'{"a": 1} x', "malformed JSON"),
        (b'{"a": NaN}', "NaN is no JSON number"),
        (b'{"a": -Infinity}', "-Infinity is no JSON number"),
        (b'{"a": 1e999}', "1e999 is too large a number"),
        (b'{"a": 1, "a": 2}', "the key 'a' appears twice"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b'{"a": "\\ud800"}', "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "nested too deeply"),
        (b'{"a": ' + b"1" * 5000 + b"}", "malformed JSON"),
        (b"\xff\xfe{\x00}\x00", "not UTF-8"),
    ],
)
def test_json_is_read_strictly(data: bytes, message: str) -> None:
    with pytest.raises(BundleError) as caught:
        parse_json(data)
    assert message in str(caught.value)


@given(st.binary(max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_json_or_a_bundle_error(data: bytes) -> None:
    with suppress(BundleError):
        json.dumps(parse_json(data), allow_nan=False)
