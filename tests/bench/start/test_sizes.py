import json
from pathlib import Path

import pytest
from ganport_bench.start.bundle_size import bundle_quantities
from ganport_bench.start.installed_size import closure, installed_bytes, installed_quantities
from ganport_runtime import Bundle


def test_a_bundle_is_counted_by_kind_of_file(bundle: Path) -> None:
    (bundle / "fidelity").mkdir()
    (bundle / "fidelity" / "picture.png").write_bytes(b"x" * 100)
    (bundle / "samples.png").write_bytes(b"x" * 30)
    (bundle / "LICENSE").write_bytes(b"x" * 7)
    found = {one.what: one for one in bundle_quantities(Bundle.open(bundle))}
    fp32 = [(bundle / f"generator-{form}-fp32.onnx").stat().st_size for form in ("deconv", "phase")]
    assert found["generator graphs, fp32"].estimate.value == sum(fp32)
    assert found["generator graphs, fp32"].note == "2 files"
    assert found["probe"].estimate.value == (bundle / "probe.npz").stat().st_size
    assert found["manifest"].note == "1 file"
    assert found["pictures for the eye"].estimate.value == 130
    assert found["other"].estimate.value == 7
    every = sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file())
    assert found["all of it"].estimate.value == every
    assert {(one.part, one.unit, one.repetitions) for one in found.values()} == {("bundle", "bytes", 1)}


def install(folder: Path, name: str, size: int, *requires: str, origin: str | None = None) -> None:
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    lines = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0", *(f"Requires-Dist: {one}" for one in requires)]
    (info / "METADATA").write_text("\n".join(lines) + "\n")
    (folder / f"{name}.bin").write_bytes(b"x" * size)
    (info / "RECORD").write_text(f"{name}.bin,,\n{name}.removed,,\n")
    if origin is not None:
        (info / "direct_url.json").write_text(origin)


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_a_package_is_counted_with_what_it_requires_here(packages: Path) -> None:
    install(packages, "made-up-top", 100, "Made_Up.Middle>=1", "made-up-extra; extra == 'more'")
    install(packages, "made-up-middle", 20, "made-up-top", "made-up-other; python_version < '3'", "made-up-absent")
    install(packages, "made-up-extra", 5)
    install(packages, "made-up-other", 5)
    assert closure("made-up-top") == ("made-up-top", "made-up-middle")
    assert closure("made-up-top[more]") == ("made-up-top", "made-up-middle", "made-up-extra")
    assert installed_bytes("made-up-top") == 100


def test_an_editable_ganport_is_counted_by_its_packages(packages: Path) -> None:
    install(packages, "ganport", 3, origin=json.dumps({"dir_info": {"editable": True}}))
    import ganport_runtime

    runtime = Path(ganport_runtime.__file__).parent
    assert installed_bytes("ganport") > sum(path.stat().st_size for path in runtime.rglob("*.py"))
    install(packages, "made-up-edited", 3, origin=json.dumps({"dir_info": {"editable": True}}))
    assert installed_bytes("made-up-edited") == 3


def test_what_generates_is_counted_with_each_engine() -> None:
    found = {(one.system, one.what): one for one in installed_quantities()}
    whole = found["ganport with onnxruntime", "with all that it requires"]
    names = whole.note.split(", ")
    assert {"ganport", "numpy", "onnxruntime"} <= set(names)
    assert "torch" not in names
    assert whole.estimate.value == sum(found[name, "by itself"].estimate.value for name in names)
    assert found["numpy", "by itself"].estimate.value > 2**20
