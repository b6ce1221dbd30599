"""A new backend is one file: with no other line changed it is found, listed, tuned, used, and refused by name."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
Run = Callable[..., Any]

TUNE = """
import json, sys
from ganport_runtime import Generator
from ganport_runtime.backends import BACKENDS, all_packages, engine_versions, load_backend
from ganport_runtime.tuning import timing, tuner
from ganport_runtime.tuning.record import Budget

tuner.TURN_SECONDS, timing.MOST_ROUNDS = 0.001, 1
path = sys.argv[1]
for other in ("onnxruntime", "openvino"):  # the toy is left to win
    type(load_backend(other)).entry_refusal = lambda *_: None if "--reference" in sys.argv else "not today"
tuning = tuner.tune(path, seconds=20)
print(json.dumps(tuning.to_json()))
"""

OPEN = """
import json, sys
from ganport_runtime import Generator, PlanError
from ganport_runtime.backends import engine_versions
try:
    with Generator.open(sys.argv[1], **json.loads(sys.argv[2])) as generator:
        plan = generator.plan
        print(json.dumps({
            "backend": plan.backend, "version": plan.backend_version, "tuned": plan.tuned, "note": plan.note,
            "images": generator.sample(3, seed=1).tolist(), "engines": engine_versions(),
        }))
except PlanError as error:
    print(json.dumps({"error": str(error)}))
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs Python where the toy backend is named, and its engine installed in some version or not."""

    def run(*words: str, engine: str | None) -> Any:
        packages = tmp_path / f"packages-{engine}"
        if engine is not None:
            info = packages / f"toy_engine-{engine}.dist-info"
            info.mkdir(parents=True, exist_ok=True)
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: toy-engine\nVersion: {engine}\n")
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(packages), str(HERE), os.environ.get("PYTHONPATH", "")]),
            "GANPORT_BACKENDS": "toy_backend",
            "GANPORT_CACHE": str(tmp_path / "cache"),
        }
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.mark.slow
def test_it_is_listed_tuned_used_and_lapses_with_its_engine(run: Run, variety: Path) -> None:
    asked = json.dumps({"backend": "toy_backend"})
    first = run("-c", OPEN, str(variety), asked, engine="1.0")
    assert (first["backend"], first["version"], first["tuned"]) == ("toy_backend", "1.0", False)
    assert first["engines"]["toy-engine"] == "1.0"

    tuning = run("-c", TUNE, str(variety), engine="1.0")
    measured = {plan["plan"] for plan in tuning["plans"]} | {item["plan"] for item in tuning["refused"]}
    assert tuning["choice"]["plan"].endswith("by toy_backend on cpu")
    assert any(plan.endswith("by toy_backend on cpu, speed slow") for plan in measured)
    refused = {item["plan"]: item["reason"] for item in tuning["refused"]}
    assert refused["generator-phase-int8 by toy_backend on cpu"] == "toy_backend runs fp32 alone, not int8"

    tuned = run("-c", OPEN, str(variety), "{}", engine="1.0")
    assert (tuned["backend"], tuned["tuned"]) == ("toy_backend", True)
    assert tuned["images"] == first["images"]

    upgraded = run("-c", OPEN, str(variety), "{}", engine="1.1")
    assert not upgraded["tuned"]
    assert "toy-engine is 1.1, it was 1.0" in upgraded["note"]

    gone = run("-c", OPEN, str(variety), "{}", engine=None)
    assert gone["backend"] == "onnxruntime"
    assert "toy-engine is not there, it was 1.0" in gone["note"]


@pytest.mark.slow
def test_it_is_refused_by_name_where_it_cannot_run(run: Run, variety: Path) -> None:
    asked = json.dumps({"backend": "toy_backend"})
    error = run("-c", OPEN, str(variety), asked, engine=None)["error"]
    assert "by toy_backend on cpu: toy_backend is not installed; pip install toy-engine" in error


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "refusal"), [("1.0", None), (None, "toy_backend is not installed")])
def test_doctor_lists_it(run: Run, engine: str | None, refusal: str | None) -> None:
    document = run("-c", "import ganport_cli; ganport_cli.main()", "doctor", "--json", engine=engine)
    found = next(item for item in document["backends"] if item["backend"] == "toy_backend")
    assert found["device"] == "cpu"
    assert bool(found["refusal"]) == bool(refusal)
    assert (found["refusal"] or "").startswith(refusal or "")
    package = next(item for item in document["packages"] if item["package"] == "toy-engine")
    assert (package["version"], package["cost"]) == (engine, "no toy engine")
