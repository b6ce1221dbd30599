"""`ganport info`: what a bundle holds, and exit 1 where a file is not the one that was written."""

import hashlib
import shutil
from pathlib import Path

from tests.cli.conftest import Ganport
from tests.support.bundles import Weights, add_probe, read_manifest, write_manifest

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


def test_it_shows_fidelity_probe_and_engines(ganport: Ganport, bundle: Path, weights: Weights, tmp_path: Path) -> None:
    own = Path(shutil.copytree(bundle, tmp_path / "own.ganport"))
    document = read_manifest(own)
    figures = {"psnr_db_mean": 41.25, "psnr_db_worst": 36.5, "images": 1024, "reference": "generator-deconv-fp32"}
    int8 = dict(document["variants"][0], id="generator-phase-int8", file="int8.onnx", precision="int8", form="phase")
    document["variants"][0]["fidelity"] = figures
    document["variants"].append(int8 | {"fidelity": figures})
    (own / "int8.onnx").write_bytes((own / GRAPH).read_bytes())
    (own / "old.engine").write_bytes(b"engine")
    document["engines"] = [
        {"id": "old-engine", "variant": "generator-phase-int8", "file": "old.engine", "library": "tensorrt_rtx",
         "sha256": hashlib.sha256(b"engine").hexdigest(), "library_version": "0.1", "compute_capabilities": ["8.6"],
         "profiles": [], "precision": "int8", "platform": "linux-x86_64"}
    ]  # fmt: skip
    write_manifest(own, document)
    add_probe(own, weights)
    outcome = ganport("info", own)
    assert outcome.exit_code == 0
    shown = " ".join(outcome.stderr.replace("│", " ").split())
    for part in ("probe: 3 images, ok", "the reference", "PSNR 41.2", "36.5", "old-engine", "linux-x86_64", "8.6"):
        assert part in shown
    assert "0.1" in shown
    (own / "probe.npz").write_bytes(b"altered")
    outcome = ganport("info", own, "--json")
    assert outcome.exit_code == 1
    assert "probe.npz was altered" in outcome.last_line
    assert [file["id"] for file in outcome.document["files"]][-1] == "probe"


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
