"""`ganport doctor`: what is here, and what each missing part costs."""

import platform
import tomllib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from ganport_cli import packages
from ganport_cli.commands import doctor
from ganport_cli.packages import Dependency, dependencies
from packaging.requirements import Requirement

from tests.cli.conftest import Ganport

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_it_tells_of_machine_packages_and_providers(ganport: Ganport) -> None:
    outcome = ganport("doctor", "--json")
    assert outcome.exit_code == 0
    document = outcome.document
    assert document["python"] == platform.python_version()
    assert document["host"]["cores"] >= 1
    assert document["host"]["cpu"] in outcome.stderr
    versions = {item["package"]: item["version"] for item in document["packages"]}
    assert versions["numpy"] == np.__version__
    assert "CPUExecutionProvider" in document["providers"]
    verdicts = {(item["backend"], item["device"]): item["refusal"] for item in document["backends"]}
    assert verdicts["onnxruntime", "cpu"] is None
    assert "onnxruntime on cpu: available" in outcome.stderr


def test_every_package_of_every_extra_is_among_the_parts() -> None:
    extras = tomllib.loads(PYPROJECT.read_text())["project"]["optional-dependencies"]
    named = {Requirement(line).name for extra, lines in extras.items() if extra != "dev" for line in lines}
    assert named - {"ganport"} <= {found.name for found in dependencies()}
    for found in dependencies():
        if found.extra:
            brought = {Requirement(line).name for line in extras[found.extra]} | {"numpy"}
            assert found.name in brought, f"{found.extra} does not bring {found.name}"


@pytest.mark.parametrize("extra", ["cpu", "train", "evaluate", "serve", "bench"])
def test_every_module_of_a_package_is_its_own(extra: str) -> None:
    for found in dependencies():
        if found.extra == extra and found.version is not None:
            assert find_spec(found.module) is not None, f"{found.name} brings no module {found.module}"


def test_a_missing_part_comes_with_its_cost_and_remedy(ganport: Ganport, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = Dependency("no-such-package", "gpu", "no flying", "no_such_package")
    assert missing.version is None
    monkeypatch.setattr(packages, "dependencies", lambda: (*dependencies(), missing))
    line = next(line for line in ganport("doctor").stderr.splitlines() if "no-such-package" in line)
    assert "missing" in line
    assert "no flying" in line
    assert "pip install 'ganport[gpu]'" in line


def test_two_onnxruntimes_beside_each_other_are_warned_of(
    ganport: Ganport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package, name in (("onnxruntime", "onnxruntime"), ("onnxruntime-gpu", "onnxruntime_gpu")):
        metadata = tmp_path / f"{name}-1.31.0.dist-info" / "METADATA"
        metadata.parent.mkdir()
        metadata.write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.31.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    outcome = ganport("doctor", "--json")
    assert "onnxruntime and onnxruntime-gpu are both installed" in outcome.document["warnings"][0]
    assert "Warning: onnxruntime and onnxruntime-gpu are both installed" in outcome.stderr


def test_no_engine_and_an_idle_gpu_are_warned_of() -> None:
    packages: list[dict[str, str | None]] = [{"package": found.name, "version": None} for found in dependencies()]
    warnings = doctor._warnings({"packages": packages, "host": {"gpus": [{"name": "H100"}]}})
    assert warnings[0].startswith("no inference engine is installed")
    assert warnings[1].startswith("there is an NVIDIA GPU that nothing uses")
    for package, expected in (("openvino", 1), ("tensorrt-rtx", 0)):
        with_one = [item | {"version": "1"} if item["package"] == package else item for item in packages]
        assert len(doctor._warnings({"packages": with_one, "host": {"gpus": [{"name": "H100"}]}})) == expected
