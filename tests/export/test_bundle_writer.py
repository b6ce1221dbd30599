"""A bundle appears whole or not at all, and what was there stays until it does."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from ganport_export import OutputError
from ganport_export.bundle_writer import Destination, make_probe, write_bundle
from ganport_export.inputs import PROBE_SEED, GeneratorInputs
from ganport_export.variants import sha256
from ganport_runtime import Bundle, BundleError, latents
from ganport_runtime.manifest import GeneratorInfo, ImageInfo, LatentInfo, Manifest, Variant
from ganport_train.networks import DcganDiscriminator, DcganGenerator

from tests.export.user_networks import randomize

DATA = b"graph"


def manifest(name: str = "b", data: bytes = DATA) -> Manifest:
    return Manifest(
        name=name,
        created="2026-01-01T00:00:00+00:00",
        toolchain={},
        training={},
        generator=GeneratorInfo(LatentInfo(4), ImageInfo(16, 16, 3)),
        discriminator=None,
        variants=(Variant("g", "generator", "g.onnx", sha256(data), "fp32", "deconv"),),
    )


def write(out: Path, *, name: str = "b", data: bytes = DATA, overwrite: bool = False) -> None:
    contents = {"g.onnx": data, "samples.png": b"png"}
    write_bundle(Destination(out, name, overwrite), manifest(name, DATA), contents)


def test_writes_a_bundle_that_reads_back_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path / "runs" / "b.ganport")
    bundle = Bundle.open(tmp_path / "runs" / "b.ganport")
    bundle.verify()
    assert bundle.manifest == manifest()
    assert sorted(path.name for path in bundle.path.iterdir()) == ["g.onnx", "manifest.json", "samples.png"]
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["b.ganport"]


def test_bytes_that_do_not_match_the_manifest_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="was altered"):
        write(tmp_path / "b", data=b"other")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_replacement_keeps_the_old_bundle(tmp_path: Path) -> None:
    write(tmp_path / "b", name="old")
    with pytest.raises(BundleError):
        write(tmp_path / "b", data=b"other", overwrite=True)
    assert Bundle.open(tmp_path / "b").manifest.name == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_the_old_bundle_is_put_back_where_the_last_rename_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "b", name="old")
    rename, target = Path.rename, tmp_path / "b"

    def fail_once(self: Path, to: Path) -> Path:
        if to == target and self.suffix == ".partial":
            raise PermissionError(13, "Permission denied")
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", fail_once)
    with pytest.raises(PermissionError):
        write(tmp_path / "b", overwrite=True)
    assert Bundle.open(tmp_path / "b").manifest.name == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_replaces_a_bundle_or_an_empty_directory_when_told_to(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    write(tmp_path / "b", name="one", overwrite=True)
    write(tmp_path / "b", name="two", overwrite=True)
    assert Bundle.open(tmp_path / "b").manifest.name == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_what_is_there_is_not_replaced_unasked_nor_ever_where_it_is_no_bundle(tmp_path: Path) -> None:
    write(tmp_path / "b")
    with pytest.raises(OutputError, match="exists: choose another name, or --overwrite"):
        Destination(tmp_path / "b")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_bytes(b"x")
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "b")
    with pytest.raises(OutputError, match=r"cannot be written: .*file is a file"):
        Destination(tmp_path / "file" / "b")
    for name in ("photos", "file", "link"):
        with pytest.raises(OutputError, match="exists and is no bundle: it is not overwritten"):
            Destination(tmp_path / name, overwrite=True)


def test_a_bundle_that_a_killed_export_moved_aside_is_put_back_before_anything_is_made(tmp_path: Path) -> None:
    write(tmp_path / ".b.0123abcd.old" / "b", name="old")
    notes: list[str] = []
    with pytest.raises(OutputError, match="exists: choose another name, or --overwrite"):
        Destination.cleared(tmp_path / "b", None, overwrite=False, observer=notes.append)
    assert Bundle.open(tmp_path / "b").manifest.name == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    assert len(notes) == 1


def test_what_appears_between_check_and_writing_is_not_replaced(tmp_path: Path) -> None:
    destination = Destination(tmp_path / "b")
    (tmp_path / "b").mkdir()
    with pytest.raises(OutputError, match="exists"):
        write_bundle(destination, manifest(), {"g.onnx": DATA})
    assert list((tmp_path / "b").iterdir()) == []


@pytest.mark.parametrize(
    ("out", "called"),
    [("emoji.ganport", "emoji"), ("emoji", "emoji"), ("a/v1.2.ganport", "v1.2"), ("new/sub/..", "new")],
)
def test_name_is_the_directorys_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, called: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert Destination(Path(out)).called == called


@pytest.mark.parametrize("name", ["", "  ", "two\nlines"])
def test_name_must_be_printable(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="give printable text"):
        Destination(tmp_path / "b", name)
    with pytest.raises(OutputError, match="give printable text"):
        Destination(Path(os.sep))


@pytest.fixture
def networks() -> tuple[DcganGenerator, DcganDiscriminator]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        generator = DcganGenerator(resolution=16, channels=3, width=4, kernel=4, latent_dim=6)
        discriminator = DcganDiscriminator(resolution=16, channels=3, width=4, kernel=4, batch_norm=True)
    randomize(generator).requires_grad_(False)
    randomize(discriminator).requires_grad_(False)
    return generator, discriminator


def test_probe_holds_what_the_networks_make_in_float64(networks: tuple[DcganGenerator, DcganDiscriminator]) -> None:
    generator, discriminator = networks
    probe = make_probe(generator, GeneratorInputs(6), discriminator)
    with np.load(io.BytesIO(probe), allow_pickle=False) as archive:
        z, image, logit = (archive[name] for name in ("z", "image", "logit"))
        assert len(archive.files) == 3
    assert (z.dtype, image.dtype, logit.dtype) == (np.float32, np.uint8, np.float32)
    assert np.array_equal(z, latents(PROBE_SEED, 0, 8, 6))
    values = generator.double()(torch.from_numpy(z).double()).permute(0, 2, 3, 1).numpy()
    assert np.array_equal(image, np.rint((values + 1) * 127.5))
    pixels = torch.from_numpy(image).double().permute(0, 3, 1, 2) / 127.5 - 1
    np.testing.assert_allclose(logit, discriminator.double()(pixels).numpy(), rtol=1e-6)
    assert image.std() > 5


def test_probe_repeats_and_has_no_logits_without_a_discriminator(
    networks: tuple[DcganGenerator, DcganDiscriminator],
) -> None:
    first, again = (make_probe(networks[0], GeneratorInputs(6)) for _ in range(2))
    assert first == again
    with np.load(io.BytesIO(first), allow_pickle=False) as archive:
        assert sorted(archive.files) == ["image", "z"]
