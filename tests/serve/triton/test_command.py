"""`ganport export-triton`: its document, its lines for people, and bad usage."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml  # type: ignore[import-untyped]
from ganport_cli.app import app, run

Captured = pytest.CaptureFixture[str]


def test_the_document_lists_every_model(bundle: Path, tmp_path: Path, capsys: Captured) -> None:
    out = tmp_path / "models"
    assert run(["export-triton", str(bundle), "--out", str(out), "--json"]) == 0
    captured = capsys.readouterr()
    document: dict[str, Any] = json.loads(captured.out)
    assert {model["name"]: model["entry"] for model in document["models"]} == {
        "generator_onnxruntime": "generator-deconv-fp32",
        "discriminator_onnxruntime": "discriminator-deconv-fp32",
        "ganport_generator": None,
        "ganport_discriminator": None,
    }
    assert all((out / model["name"] / "config.pbtxt").is_file() for model in document["models"])
    assert [line.partition(":")[0] for line in document["left_out"]] == [
        "no generator for the backend tensorrt",
        "no discriminator for the backend tensorrt",
    ]
    for line in (*document["left_out"], *document["notes"]):
        assert line in captured.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--backends", "onnxruntime,openvino"), "backend 'openvino' is unknown; choose from onnxruntime, tensorrt"),
        (("--backends", ""), "no backend is named; choose from onnxruntime, tensorrt, python"),
        (("--device", "tpu"), "device 'tpu' is unknown; choose from cpu, cuda"),
        (("--precision", "fp4"), "precision 'fp4' is unknown"),
        (("--instances", "0"), "instances is 0, wanted 1 or more"),
        (("--threads", "0"), "threads is 0, wanted 1 to 1024"),
        (("--max-queue", "0"), "max queue is 0, wanted 1 or more"),
        (("--max-delay-ms", "nan"), "max delay is nan s, wanted 0 to 60 s"),
    ],
)
def test_bad_usage_is_one_line(
    bundle: Path, tmp_path: Path, capsys: Captured, words: tuple[str, ...], message: str
) -> None:
    assert run(["export-triton", str(bundle), "--out", str(tmp_path / "models"), *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ganport export-triton: ")
    assert message in line
    assert not list(tmp_path.iterdir())


def test_what_the_bundle_does_not_allow_is_one_line(bundle: Path, tmp_path: Path, capsys: Captured) -> None:
    assert run(["export-triton", str(bundle), "--out", str(tmp_path / "models"), "--backends", "tensorrt"]) == 1
    assert "no generator for the backend tensorrt: the bundle holds no engine of it" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_kserve_gives_ganport_serve_options_that_it_has(bundle: Path, tmp_path: Path, capsys: Captured) -> None:
    assert run(["export-triton", str(bundle), "--out", str(tmp_path / "models")]) == 0
    service = yaml.safe_load((tmp_path / "models" / "kserve-ganport.yaml").read_text(encoding="utf-8"))
    (container,) = service["spec"]["predictor"]["containers"]
    command, *words = container["args"]
    group: Any = typer.main.get_command(app)
    context = group.commands[command].make_context(command, words)
    assert (context.params["host"], context.params["port"], context.params["no_grpc"]) == ("0.0.0.0", 8080, True)
