"""The reader of bundles: what it gives, and every way in which it refuses."""

import hashlib
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from ganport_runtime import Bundle, BundleError, Generator
from ganport_runtime.backends import Session, load_backend

from tests.support.bundles import read_manifest, write_manifest

GRAPH = "generator-deconv-fp32.onnx"


def refusal(path: Path) -> str:
    """The one line with which a bundle is refused."""
    with pytest.raises(BundleError) as caught:
        Bundle.open(path).verify()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_it_gives_manifest_digest_variants_and_bytes(bundle: Path) -> None:
    opened = Bundle.open(str(bundle))
    assert opened.path == bundle
    assert opened.manifest.name == "tiny"
    assert opened.digest == hashlib.sha256((bundle / "manifest.json").read_bytes()).hexdigest()
    assert [variant.role for variant in opened.variants("discriminator")] == ["discriminator"]
    assert opened.read(opened.variants("generator")[0]) == (bundle / GRAPH).read_bytes()
    opened.verify()


@pytest.mark.parametrize("size", [1, 100, 300_000, 2**20, 1_500_001])
def test_one_altered_byte_is_found_in_small_and_large_files(own_bundle: Path, size: int) -> None:
    data = bytearray(random.Random(size).randbytes(size))
    document = read_manifest(own_bundle)
    document["variants"][0]["sha256"] = hashlib.sha256(data).hexdigest()
    write_manifest(own_bundle, document)
    (own_bundle / GRAPH).write_bytes(data)
    opened = Bundle.open(own_bundle)
    assert opened.read(opened.manifest.variants[0]) == data
    data[size // 2] ^= 1
    (own_bundle / GRAPH).write_bytes(data)
    with pytest.raises(BundleError, match=f"{GRAPH} was altered: .*copy the bundle again or export it again"):
        opened.read(opened.manifest.variants[0])


def overwritten(file: Path) -> None:
    """As `cp` does it: the same file, other bytes."""
    size = file.stat().st_size
    with file.open("r+b") as opened:
        opened.write(bytes(size))


def truncated(file: Path) -> None:
    os.truncate(file, 1000)


@pytest.mark.parametrize("harm", [overwritten, truncated])
@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_file_that_is_harmed_after_it_was_read_harms_no_engine(
    own_bundle: Path, backend: str, harm: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = load_backend(backend).open

    def harmed_meanwhile(model: bytes, **asked: Any) -> Session:
        harm(own_bundle / GRAPH)
        return real(model, **asked)

    monkeypatch.setattr(load_backend(backend), "open", harmed_meanwhile)
    with Generator.open(own_bundle, backend=backend) as generator:
        assert generator.sample(3, seed=7).shape == (3, *generator.image_shape)
    with pytest.raises(BundleError, match="was altered"):
        Generator.open(own_bundle, backend=backend)


@pytest.mark.parametrize("harm", [overwritten, truncated])
@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_an_open_generator_outlives_its_file(own_bundle: Path, backend: str, harm: Callable[[Path], None]) -> None:
    with Generator.open(own_bundle, backend=backend) as generator:
        before = generator.sample(1, seed=7)
        harm(own_bundle / GRAPH)
        assert (generator.sample(1, seed=7) == before).all()
        assert generator.sample(64, seed=7).shape[0] == 64  # OpenVINO compiles for this size now


def test_no_engine_sees_bytes_of_another_digest(own_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []
    monkeypatch.setattr(load_backend("onnxruntime"), "open", lambda model, **_: seen.append(model))
    (own_bundle / GRAPH).write_bytes(bytes(2_000_000))
    with pytest.raises(BundleError, match="was altered"):
        Generator.open(own_bundle, backend="onnxruntime")
    assert seen == []


def test_a_graph_finds_no_weights_in_other_files(own_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = onnx.load(own_bundle / GRAPH)
    onnx.save(model, own_bundle / GRAPH, save_as_external_data=True, location="weights.bin", size_threshold=64)
    assert (own_bundle / "weights.bin").stat().st_size > 0
    document = read_manifest(own_bundle)
    document["variants"][0]["sha256"] = hashlib.sha256((own_bundle / GRAPH).read_bytes()).hexdigest()
    write_manifest(own_bundle, document)
    monkeypatch.chdir(own_bundle)  # onnxruntime looks beside the graph, and for graphs from bytes where it was started
    with pytest.raises(BundleError, match="cannot be loaded"):
        Generator.open(own_bundle)


@pytest.mark.parametrize(
    ("replace", "message"),
    [
        (lambda _: None, ": the file is missing; copy the bundle again or export it again"),
        (Path.touch, " is empty"),
        (Path.mkdir, " is not a file"),
        (os.mkfifo, " is not a file"),  # and does not block
    ],
)
def test_what_is_no_file_is_named(own_bundle: Path, replace: Callable[[Path], None], message: str) -> None:
    (own_bundle / GRAPH).unlink()
    replace(own_bundle / GRAPH)
    assert f"{own_bundle / GRAPH}{message}" in refusal(own_bundle)


def test_a_folder_that_links_out_of_the_bundle_is_refused(own_bundle: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (own_bundle / GRAPH).rename(outside / GRAPH)
    (own_bundle / "graphs").symlink_to(outside)
    document = read_manifest(own_bundle)
    document["variants"][0]["file"] = f"graphs/{GRAPH}"
    write_manifest(own_bundle, document)
    assert "is a link that leaves the bundle" in refusal(own_bundle)


def test_links_inside_the_bundle_and_to_it_are_fine(own_bundle: Path, tmp_path: Path) -> None:
    (own_bundle / GRAPH).rename(own_bundle / "real.onnx")
    (own_bundle / GRAPH).symlink_to("real.onnx")
    (tmp_path / "linked.ganport").symlink_to(own_bundle)
    Bundle.open(tmp_path / "linked.ganport").verify()


def test_what_is_no_bundle_is_said(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none") == f"{tmp_path / 'none'} is missing; name a bundle directory"
    assert "it holds no manifest.json" in refusal(tmp_path)
    (tmp_path / "file").write_text("x")
    assert refusal(tmp_path / "file").endswith("is a file; name a bundle directory")
    assert "File name too long; name a bundle directory" in refusal(tmp_path / ("x" * 5000))
    assert "null byte; name a bundle directory" in refusal(Path("x\0y"))
    (tmp_path / "manifest.json").mkdir()
    assert "manifest.json is not a file" in refusal(tmp_path)


def test_a_manifest_of_gigabytes_is_not_read(own_bundle: Path) -> None:
    with (own_bundle / "manifest.json").open("r+b") as file:
        file.truncate(2**31)
    assert "manifest.json is larger than" in refusal(own_bundle)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_named(own_bundle: Path) -> None:
    (own_bundle / GRAPH).chmod(0)
    assert "Permission denied" in refusal(own_bundle)


@pytest.mark.parametrize(
    "change",
    [
        {"latent": {"dim": 13, "distribution": "normal"}, "image": {"height": 16, "width": 16, "channels": 3}},
        {"latent": {"dim": 12, "distribution": "normal"}, "image": {"height": 16, "width": 8, "channels": 3}},
        {"latent": {"dim": 12, "distribution": "normal"}, "image": {"height": 16, "width": 16, "channels": 1}},
    ],
)
def test_a_manifest_that_describes_another_graph_is_refused(own_bundle: Path, change: dict[str, Any]) -> None:
    write_manifest(own_bundle, read_manifest(own_bundle) | {"generator": change})
    with pytest.raises(
        BundleError, match=r"variant generator-deconv-fp32 (takes|gives) .*, wanted .*; export it again"
    ):
        Generator.open(own_bundle)


def test_a_file_that_is_no_graph_is_refused_though_its_digest_is_right(own_bundle: Path) -> None:
    for junk in (b"no graph at all", bytes(range(256)) * 40, json.dumps({"a": 1}).encode()):
        document = read_manifest(own_bundle)
        document["variants"][0]["sha256"] = hashlib.sha256(junk).hexdigest()
        write_manifest(own_bundle, document)
        (own_bundle / GRAPH).write_bytes(junk)
        with pytest.raises(BundleError, match=f"{GRAPH} cannot be loaded by onnxruntime"):
            Generator.open(own_bundle)


def test_no_file_of_a_bundle_is_mapped(own_bundle: Path) -> None:
    """Whoever maps a file dies by SIGBUS where another process truncates it."""
    with Generator.open(own_bundle) as generator:
        generator.sample(2)
        maps = Path("/proc/self/maps")
        if maps.exists():
            assert str(own_bundle) not in maps.read_text()
