"""`ganport info`: what a bundle holds, and exit 1 where a file is not the one that was written."""

import shutil
from pathlib import Path

from tests.cli.conftest import Ganport
from tests.support.bundles import read_manifest, write_manifest

GRAPH = "generator-deconv-fp32.onnx"


def test_it_shows_variants_with_parity_and_verdict(ganport: Ganport, bundle: Path) -> None:
    outcome = ganport("info", bundle)
    assert outcome.exit_code == 0
    assert outcome.stdout == ""
    for part in ("tiny", "12 numbers", "16 x 16 x 3", "10 features", "generator-deconv-fp32", "psnr 99", "ok"):
        assert part in outcome.stderr


def test_the_document_holds_manifest_and_verification(ganport: Ganport, bundle: Path) -> None:
    document = ganport("info", bundle, "--json").document
    assert document["manifest"] == read_manifest(bundle)
    assert document["verified"] is True
    assert document["files"][0] == {
        "id": "generator-deconv-fp32",
        "file": GRAPH,
        "bytes": (bundle / GRAPH).stat().st_size,
        "problem": None,
    }


def test_every_altered_file_is_named_and_the_exit_code_is_1(ganport: Ganport, bundle: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(bundle, tmp_path / "own.ganport"))
    (own / GRAPH).write_bytes(b"altered")
    outcome = ganport("info", own, "--json")
    assert outcome.exit_code == 1
    assert outcome.last_line.startswith("ganport info: ")
    assert f"{GRAPH} was altered" in outcome.last_line
    assert outcome.document["verified"] is False
    assert [bool(file["problem"]) for file in outcome.document["files"]] == [True, False]
    assert "FAILED" in outcome.stderr


def test_names_with_brackets_are_shown_as_they_are(ganport: Ganport, bundle: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(bundle, tmp_path / "own.ganport"))
    document = read_manifest(own)
    document["name"] = document["variants"][0]["id"] = "[/bold]"
    write_manifest(own, document)
    outcome = ganport("info", own)
    assert outcome.exit_code == 0
    assert outcome.stderr.count("[/bold]") == 2


def test_what_is_no_bundle_is_one_line(ganport: Ganport, tmp_path: Path) -> None:
    outcome = ganport("info", tmp_path)
    assert outcome.exit_code == 1
    assert len(outcome.stderr.splitlines()) == 1
    assert "it holds no manifest.json" in outcome.stderr
