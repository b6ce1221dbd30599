"""What keeps a run from becoming a bundle: a graph over its gate, no run there, something that cannot be made."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from ganport_export import ExportError, OutputError, ParityError, export_run
from ganport_export.session import OnnxSession
from ganport_train.errors import CheckpointError

GENERATOR, DISCRIMINATOR = "generator-deconv-fp32", "discriminator-conv-fp32"


def test_a_graph_over_the_gate_is_no_bundle(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every image goes through the real graph with its largest weight tensor 5 % too large."""
    opened = OnnxSession.__init__

    def open_damaged(self: OnnxSession, data: bytes, threads: int | None = None) -> None:
        model = onnx.load_from_string(data)
        tensor = max(model.graph.initializer, key=lambda item: len(item.raw_data))
        values = onnx.numpy_helper.to_array(tensor).copy()
        values *= np.float32(1.05)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
        opened(self, model.SerializeToString(), threads)

    monkeypatch.setattr(OnnxSession, "__init__", open_damaged)
    with pytest.raises(ParityError, match=f"{GENERATOR} is no faithful export: .*the limit is"):
        export_run(run, tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_discriminator_over_the_gate_is_no_bundle(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call = OnnxSession.__call__

    def damaged(self: OnnxSession, feed: Any, outputs: Any = None) -> Any:
        made = call(self, feed, outputs)
        return {name: array + np.float32(0.1) if name == "features" else array for name, array in made.items()}

    monkeypatch.setattr(OnnxSession, "__call__", damaged)
    with pytest.raises(ParityError, match=f"{DISCRIMINATOR} is no faithful export: features differ by"):
        export_run(run, tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_not_there_or_damaged_is_named(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no such directory; give a training run"):
        export_run(tmp_path / "nothing", tmp_path / "b")
    with pytest.raises(CheckpointError, match="holds no run"):
        export_run(tmp_path, tmp_path / "b")
    with pytest.raises(CheckpointError, match="has no checkpoint 'step-000099'"):
        export_run(run, tmp_path / "b", checkpoint="step-000099")


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"forms": ("deconv", "circle")}, "form 'circle' cannot be exported: choose from deconv, phase, fused"),
        ({"precisions": ("fp32", "int4")}, "precision 'int4' cannot be exported: choose from fp32, fp16, int8"),
        ({"precisions": ("int8",)}, "precisions int8: name fp32 too, it is what the others are measured against"),
        ({"forms": ()}, "forms none: name each one that is wanted once"),
        ({"forms": ("phase", "phase")}, "forms phase, phase: name each one that is wanted once"),
        ({"min_psnr": math.nan}, "a lowest PSNR of nan dB is none: give 0 to 100"),
        ({"min_psnr": 101.0}, "a lowest PSNR of 101 dB is none: give 0 to 100"),
        (
            {"forms": ("fused",), "engines": ("tensorrt-rtx",)},
            "engines are built of the forms deconv, phase: name one of them too",
        ),
        ({"engines": ("onnx",)}, "engines of 'onnx' cannot be built: choose from tensorrt-rtx, tensorrt"),
    ],
)
def test_what_cannot_be_made_is_refused_before_any_work(tmp_path: Path, choices: dict[str, Any], said: str) -> None:
    with pytest.raises(ExportError) as caught:
        export_run(tmp_path / "nothing", tmp_path / "b", **choices)
    assert str(caught.value) == said


def test_a_bundle_that_is_there_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    with pytest.raises(OutputError, match="exists"):
        export_run(tmp_path / "nothing", tmp_path / "b")


def test_a_score_that_no_manifest_can_hold_is_refused_before_any_writing(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run", symlinks=True)
    state = tmp_path / "run" / "best" / "state.json"
    document = json.loads(state.read_text())
    document["scores"]["frechet_distance"] = math.nan
    state.write_text(json.dumps(document))
    with pytest.raises((ExportError, CheckpointError), match="score") as caught:
        export_run(tmp_path / "run", tmp_path / "b")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
