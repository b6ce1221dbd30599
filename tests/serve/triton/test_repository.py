"""A model repository's files: whole or not at all, self-contained, and never in place of something else."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]
from ganport_runtime import Bundle, BundleError
from ganport_serve.triton.choices import RepositoryError, TritonChoices
from ganport_serve.triton.repository import export_repository, service_name
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.bundles import Weights, make_bundle, make_variety

ONNX = TritonChoices(backends=("onnxruntime",))


def files_of(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def test_python_models_carry_the_bundle_and_the_runtime(bundle: Path, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures.ganport"
    shutil.copytree(bundle, pictures)
    (pictures / "samples.png").write_bytes(b"not needed to serve")
    repository = export_repository(pictures, tmp_path / "models", TritonChoices(backends=("python",))).path
    assert {entry.name for entry in repository.iterdir() if entry.is_dir()} == {
        "ganport_generator",
        "ganport_discriminator",
    }
    for model in ("ganport_generator", "ganport_discriminator"):
        copy = Bundle.open(repository / model / "1" / "bundle.ganport")
        copy.verify()
        assert copy.digest == Bundle.open(bundle).digest
        assert files_of(copy.path) == {"manifest.json", *(entry.file for entry in copy.files)}
        code = files_of(repository / model / "1" / "ganport_runtime")
        assert {"__init__.py", "latents.py", "backends/onnxruntime.py", "py.typed"} <= code
        assert not [file for file in code if "__pycache__" in file]


@pytest.mark.parametrize("variant", ["generator-deconv-fp32", "generator-phase-int8"])
def test_the_named_variant_is_the_model(tmp_path: Path, weights: Weights, variant: str) -> None:
    bundle = make_variety(tmp_path / "variety.ganport", weights)
    named = () if variant == "generator-deconv-fp32" else (variant,)  # fp32 as trained is the default
    choices = TritonChoices(backends=("onnxruntime",), variants=named)
    exported = export_repository(bundle, tmp_path / "models", choices)
    (model,) = exported.models
    assert model.entry is not None
    assert model.entry.id == variant
    written = exported.path / "generator_onnxruntime" / "1" / "model.onnx"
    assert written.read_bytes() == (bundle / f"{variant}.onnx").read_bytes()


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        (
            ("generator-wide-fp64",),
            "'generator-wide-fp64' is none .* there are: generator-deconv-fp32, generator-phase",
        ),
        (("generator-phase-fp32", "generator-phase-int8"), "are both for the generator"),
    ],
)
def test_wrong_variants_are_refused_with_those_that_are_there(
    tmp_path: Path, weights: Weights, variants: tuple[str, ...], message: str
) -> None:
    bundle = make_variety(tmp_path / "variety.ganport", weights)
    with pytest.raises(RepositoryError, match=message):
        export_repository(bundle, tmp_path / "models", TritonChoices(variants=variants))
    assert {entry.name for entry in tmp_path.iterdir()} == {"variety.ganport"}


def test_a_bundle_without_a_discriminator_becomes_a_generator_alone(tmp_path: Path, weights: Weights) -> None:
    bundle = make_bundle(tmp_path / "half.ganport", weights, discriminator=False)
    models = export_repository(bundle, tmp_path / "models").models
    assert [model.description.name for model in models] == ["generator_onnxruntime", "ganport_generator"]


def test_an_altered_bundle_leaves_nothing_behind(tmp_path: Path, bundle: Path) -> None:
    altered = tmp_path / "altered.ganport"
    shutil.copytree(bundle, altered)
    with (altered / "discriminator-deconv-fp32.onnx").open("ab") as file:
        file.write(b"x")
    for choices in (TritonChoices(), ONNX, TritonChoices(backends=("python",))):
        with pytest.raises(BundleError, match="was altered"):
            export_repository(altered, tmp_path / "models", choices)
    assert {entry.name for entry in tmp_path.iterdir()} == {"altered.ganport"}


def test_what_is_there_stays_unless_it_may_be_replaced(tmp_path: Path, bundle: Path) -> None:
    out = tmp_path / "models"
    export_repository(bundle, out)
    before = files_of(out)
    with pytest.raises(RepositoryError, match="exists; choose another name, or pass --overwrite"):
        export_repository(bundle, out, ONNX)
    assert files_of(out) == before
    export_repository(bundle, out, ONNX, overwrite=True)
    assert files_of(out) < before
    assert {entry.name for entry in tmp_path.iterdir()} == {"models"}


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_what_is_no_repository_is_never_replaced(tmp_path: Path, bundle: Path, kind: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis.txt").write_text("years of work", encoding="utf-8")
    out = {"folder": home, "file": home / "thesis.txt", "link": tmp_path / "link"}[kind]
    if kind == "link":
        out.symlink_to(export_repository(bundle, tmp_path / "models", ONNX).path)
    with pytest.raises(RepositoryError, match="is no model repository: it is not overwritten"):
        export_repository(bundle, out, overwrite=True)
    assert (home / "thesis.txt").read_text(encoding="utf-8") == "years of work"


@pytest.mark.parametrize("below", ["b", "b/c", "../a/b"])
def test_a_file_in_the_way_is_named(tmp_path: Path, bundle: Path, below: str) -> None:
    way = tmp_path / "a"
    way.write_text("a file", encoding="utf-8")
    with pytest.raises(RepositoryError, match=rf"cannot be written: {way} is a file, wanted a folder"):
        export_repository(bundle, way / below, ONNX)
    assert files_of(tmp_path) == {"a"}


@pytest.mark.parametrize("below", ["models", "deep/models"])
def test_nothing_is_written_into_the_bundle(tmp_path: Path, weights: Weights, below: str) -> None:
    bundle = make_bundle(tmp_path / "tiny.ganport", weights)
    link = tmp_path / "link.ganport"
    link.symlink_to(bundle)
    before = files_of(tmp_path)
    for source, out in ((bundle, bundle / below), (bundle, link / below), (link, bundle / below)):
        with pytest.raises(RepositoryError, match=r"lies in the bundle .*; choose a place outside it"):
            export_repository(source, out, ONNX, overwrite=True)
    assert files_of(tmp_path) == before


@pytest.mark.parametrize("kill", [True, False])
def test_an_export_that_was_killed_blocks_no_later_one_and_one_under_way_is_not_disturbed(
    tmp_path: Path, bundle: Path, kill: bool
) -> None:
    out = tmp_path / "models"
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from ganport_serve.triton.repository import export_repository\n"
        "def stop(model):\n"
        "    print(model, flush=True)\n"
        "    time.sleep(60)\n"
        "export_repository(Path(sys.argv[1]), Path(sys.argv[2]), on_model=stop)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(bundle), str(out)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline()
        if kill:
            other.kill()
            other.wait()
        export_repository(bundle, out, ONNX)
        left = {entry.name for entry in tmp_path.iterdir()} - {"models"}
        other.kill()
    assert len(left) == (0 if kill else 1)
    assert "config.pbtxt" in {file.name for file in out.rglob("*")}


def test_kserve_runs_triton_on_the_repository(tmp_path: Path, bundle: Path) -> None:
    choices = TritonChoices(threads=2, instances=3)
    repository = export_repository(bundle, tmp_path / "models", choices, storage_uri="gs://here/models").path
    service = yaml.safe_load((repository / "kserve-triton.yaml").read_text(encoding="utf-8"))
    assert (service["apiVersion"], service["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
    assert service["metadata"]["name"] == "tiny-triton"
    model = service["spec"]["predictor"]["model"]
    assert model["modelFormat"]["name"] == "triton"
    assert (model["protocolVersion"], model["storageUri"]) == ("v2", "gs://here/models")
    assert model["readinessProbe"]["httpGet"]["path"] == "/v2/health/ready"
    assert model["resources"]["requests"]["cpu"] == model["resources"]["limits"]["cpu"] == "6"
    assert "nvidia.com/gpu" not in model["resources"]["limits"]


def test_kserve_runs_ganport_on_the_bundle_inside(tmp_path: Path, bundle: Path) -> None:
    repository = export_repository(
        bundle, tmp_path / "models", TritonChoices(device="cuda"), storage_uri="gs://here/"
    ).path
    service = yaml.safe_load((repository / "kserve-ganport.yaml").read_text(encoding="utf-8"))
    (container,) = service["spec"]["predictor"]["containers"]
    (uri,) = [variable["value"] for variable in container["env"] if variable["name"] == "STORAGE_URI"]
    assert uri.startswith("gs://here/")
    Bundle.open(repository / uri.removeprefix("gs://here/")).verify()
    assert container["ports"][0]["containerPort"] == container["readinessProbe"]["httpGet"]["port"] == 8080
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert container["args"][:2] == ["serve", "/mnt/models"]


def test_without_python_models_there_is_no_bundle_for_ganport_to_serve(tmp_path: Path, bundle: Path) -> None:
    exported = export_repository(bundle, tmp_path / "models", ONNX)
    assert [file.name for file in exported.path.glob("*.yaml")] == ["kserve-triton.yaml"]
    assert any("no kserve-ganport.yaml" in note for note in exported.notes)


@given(st.text())
@settings(max_examples=50)
def test_any_bundle_name_becomes_one_that_kubernetes_takes(name: str) -> None:
    """RFC 1123's label, with room for what follows it."""
    result = f"{service_name(name)}-ganport"
    assert len(result) <= 63
    assert set(result) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert result[0].isalpha()
    assert "--" not in result
