"""`ganport generate`: the three outputs, going on after an interruption, and bad usage."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ganport_runtime import Generator
from numpy.typing import NDArray
from PIL import Image

from tests.cli.conftest import Ganport
from tests.support.bundles import Weights, make_bundle, make_variety, make_weights
from tests.support.records import ONNXRUNTIME, OPENVINO, speeds, write_record

# So many bytes a file, and the system refuses the rest. Not set between fork and exec, where gRPC's threads may hang.
ON_A_FULL_DISK = """
import resource, runpy
resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))
runpy.run_module("ganport_cli", run_name="__main__")
"""
COMMAND = [sys.executable, "-m", "ganport_cli", "generate"]


def wanted(bundle: Path, count: int, **arguments: int) -> NDArray[np.uint8]:
    with Generator.open(bundle) as generator:
        return np.concatenate(list(generator.stream(count, **arguments)))


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def pixels(file: Path) -> NDArray[np.uint8]:
    with Image.open(file) as image:
        return np.asarray(image)


def folder_images(folder: Path) -> dict[int, NDArray[np.uint8]]:
    return {int(file.stem): pixels(file) for file in sorted(folder.glob("*.png"))}


def test_a_grid_shows_every_image_in_its_cell(ganport: Ganport, bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "grid.png"
    assert ganport("generate", bundle, "--count", 10, "--seed", 7, "--start", 3, "--out", out).exit_code == 0
    grid = pixels(out)
    assert grid.shape == (3 * 16, 4 * 16, 3)
    for index, image in enumerate(wanted(bundle, 10, seed=7, start=3)):
        row, column = divmod(index, 4)
        assert np.array_equal(grid[row * 16 :, column * 16 :][:16, :16], image)
    assert (grid[32:, 32:] == 255).all()
    assert names(out.parent) == ["grid.png"]


@pytest.mark.parametrize(("count", "size"), [(1, (1, 1)), (2, (1, 2)), (64, (8, 8)), (65, (8, 9))])
def test_a_grid_is_nearly_square(ganport: Ganport, bundle: Path, tmp_path: Path, count: int, size: Any) -> None:
    ganport("generate", bundle, "--count", count, "--out", tmp_path / "grid.png")
    assert pixels(tmp_path / "grid.png").shape == (size[0] * 16, size[1] * 16, 3)


@pytest.mark.parametrize(("count", "batch"), [(1, 64), (130, 64), (100, 33), (70, 1000)])
def test_an_array_holds_every_image(ganport: Ganport, bundle: Path, tmp_path: Path, count: int, batch: int) -> None:
    out = tmp_path / "images.npy"
    ganport("generate", bundle, "--count", count, "--seed", 3, "--batch", batch, "--out", out)
    assert np.array_equal(np.load(out), wanted(bundle, count, seed=3, batch=batch))
    assert names(tmp_path) == ["images.npy"]


def test_a_folder_holds_one_file_an_image(ganport: Ganport, bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "images"
    assert ganport("generate", bundle, "--count", 70, "--seed", 3, "--start", 5, "--out", out).exit_code == 0
    images = folder_images(out)
    assert list(images) == list(range(5, 75))
    assert np.array_equal(np.stack(list(images.values())), wanted(bundle, 70, seed=3, start=5))
    assert names(out)[:2] == [".generation.json", "00000005.png"]


def test_a_folder_is_gone_on_with_where_images_lack(ganport: Ganport, bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "images"
    arguments = ("generate", bundle, "--count", 130, "--out", out, "--json")
    assert ganport(*arguments).document["made"] == 130
    (out / "00000007.png").unlink()
    (out / "00000100.png").write_bytes(b"")  # as a power cut leaves it
    (out / ".00000007.png.partial").write_bytes(b"half an image")
    times = {file: file.stat().st_mtime_ns for file in out.glob("*.png")}
    assert ganport(*arguments).document["made"] == 2
    assert np.array_equal(np.stack(list(folder_images(out).values())), wanted(bundle, 130))
    assert [file.name for file, then in times.items() if file.stat().st_mtime_ns != then] == ["00000100.png"]
    assert [name for name in names(out) if name.startswith(".")] == [".generation.json"]
    third = ganport(*arguments)
    assert third.document["made"] == 0
    assert third.document["images_per_second"] == 0
    assert "(130 were there already)" in third.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("--seed", "8"), "was begun with seed 7, this is seed 8; name another folder"),
        (("--batch", "5"), "was begun with batch 64, this is batch 5"),
        (("--threads", "1"), "was begun with threads None, this is threads 1"),
    ],
)
def test_a_folder_of_other_settings_is_refused(
    ganport: Ganport, bundle: Path, tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    arguments = ("generate", bundle, "--count", 3, "--seed", 7, "--out", tmp_path / "images")
    ganport(*arguments)
    outcome = ganport(*arguments, *change)
    assert outcome.exit_code == 1
    assert message in outcome.last_line


@pytest.mark.parametrize("record", ["{", "[]", "{}", "null"])
def test_a_folder_with_a_damaged_record_is_refused(ganport: Ganport, bundle: Path, tmp_path: Path, record: str) -> None:
    out = tmp_path / "images"
    ganport("generate", bundle, "--count", 1, "--out", out)
    (out / ".generation.json").write_text(record)
    outcome = ganport("generate", bundle, "--count", 1, "--out", out)
    assert outcome.exit_code == 1
    assert outcome.last_line.startswith("ganport generate: ")


def test_a_folder_of_other_files_is_refused(ganport: Ganport, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    outcome = ganport("generate", bundle, "--out", tmp_path)
    assert outcome.exit_code == 1
    assert outcome.last_line.endswith("holds other files; name a new folder")
    assert names(tmp_path) == ["thesis.tex"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["grid.png", "images.npy"])
def test_a_file_is_replaced_only_where_that_is_asked_for(
    ganport: Ganport, bundle: Path, tmp_path: Path, name: str
) -> None:
    out = tmp_path / name
    out.write_text("precious")
    outcome = ganport("generate", bundle, "--count", 2, "--out", out)
    assert outcome.exit_code == 1
    assert outcome.last_line.endswith(f"{name} exists; name another file, or pass --overwrite to replace it")
    assert out.read_text() == "precious"
    assert ganport("generate", bundle, "--count", 2, "--out", out, "--overwrite").exit_code == 0
    assert out.stat().st_size > 100


def test_the_document_says_what_was_done(ganport: Ganport, bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "images.npy"
    outcome = ganport("generate", bundle, "--count", 5, "--seed", 9, "--out", out, "--json", "--device", "cpu")
    document = outcome.document
    assert (document["out"], document["count"], document["seed"], document["start"]) == (str(out), 5, 9, 0)
    assert document["plan"]["provider"] == "CPUExecutionProvider"
    assert document["plan"]["text"] in outcome.stderr
    assert all("device is cuda" in refusal for refusal in document["plan"]["refusals"])
    assert document["seconds"] > 0
    assert document["images_per_second"] == pytest.approx(5 / document["seconds"], rel=0.01)


def test_one_plan_makes_all_images_whatever_the_batch(
    ganport: Ganport, tmp_path: Path, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANPORT_CACHE", str(tmp_path / "cache"))
    path = make_variety(tmp_path / "variety.ganport", weights)
    write_record(path, ONNXRUNTIME, speeds(OPENVINO, b1=300.0, b64=50.0))
    made = {}
    for count, batch in ((64, 64), (3, 1), (129, 64)):
        out = tmp_path / f"{count}-{batch}.npy"
        outcome = ganport("generate", path, "--count", count, "--batch", batch, "--out", out, "--json")
        plan = outcome.document["plan"]
        assert plan["tuned"] is True
        assert f"Plan: {plan['text']}" in outcome.stderr
        made[count] = (plan["backend"], np.load(out))
    assert len({backend for backend, _ in made.values()}) == 1
    for count in (3, 64):
        assert (made[count][1] == made[129][1][:count]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--out", "x.jpg"), "--out x.jpg ends in .jpg: wanted .png, .npy, or a folder without an ending"),
        (("--out", "x.png", "--count", "5000"), "too large a grid, over 4096: name an .npy or a folder"),
        (("--out", "x.png", "--count", "0"), "--count"),
        (("--out", "x.png", "--count", "-1"), "--count"),
        (("--out", "x.png", "--seed", "-1"), "--seed"),
        (("--out", "x.png", "--start", str(2**64 - 1), "--count", "2"), "go past the last image of a seed"),
        (("--out", "x.png", "--device", "tpu"), "--device is 'tpu', wanted one of auto, cpu, cuda"),
        (("--out", "x.png", "--precision", "fp8"), "--precision is 'fp8'"),
        (("--out", "x.png", "--backend", "tvm"), "--backend is 'tvm'"),
        (("--out", "x.png", "--threads", "0"), "--threads is 0"),
        (("--out", "folder", "--overwrite"), "a folder is gone on with"),
        ((), "--out"),
    ],
)
def test_bad_usage_is_one_line_and_exit_2(
    ganport: Ganport, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: Any, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = ganport("generate", bundle, *arguments)
    assert outcome.exit_code == 2
    assert message in outcome.stderr
    assert len(outcome.stderr.splitlines()) == 1
    assert outcome.stdout == ""
    assert names(tmp_path) == []


def test_a_gray_bundle_makes_gray_files(ganport: Ganport, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "gray.ganport", make_weights(image=(16, 16, 1)))
    ganport("generate", bundle, "--count", 4, "--out", tmp_path / "grid.png")
    ganport("generate", bundle, "--count", 4, "--out", tmp_path / "images")
    with Image.open(tmp_path / "grid.png") as grid:
        assert (grid.mode, grid.size) == ("L", (32, 32))
    assert np.array_equal(pixels(tmp_path / "images" / "00000002.png"), wanted(bundle, 4)[2, ..., 0])


def test_images_of_five_channels_go_into_an_array_alone(ganport: Ganport, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "five.ganport", make_weights(image=(8, 8, 5)))
    for name in ("grid.png", "folder"):
        outcome = ganport("generate", bundle, "--count", 4, "--out", tmp_path / name)
        assert outcome.exit_code == 1
        assert "images of 5 channels fit in no PNG; write an .npy" in outcome.last_line
        assert not (tmp_path / name).exists()
    assert ganport("generate", bundle, "--count", 4, "--out", tmp_path / "images.npy").exit_code == 0
    assert np.load(tmp_path / "images.npy").shape == (4, 8, 8, 5)


@pytest.mark.slow
def test_after_ctrl_c_the_same_command_goes_on(bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "images"
    command = [*COMMAND, str(bundle), "--count", "100000", "--out", str(out)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while len(list(out.glob("*.png"))) < 200 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stdout == ""
    assert f"of 100000 images are in {out}: the same command goes on" in stderr
    assert stderr.splitlines()[-1] == "ganport generate: interrupted"
    assert stderr.count("interrupted") == 1
    assert not list(out.glob(".*.partial"))
    there = len(list(out.glob("*.png")))
    count = there + 100
    done = subprocess.run([*COMMAND, str(bundle), "--count", str(count), "--out", str(out), "--json"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert json.loads(done.stdout)["made"] == 100
    images = folder_images(out)
    assert list(images) == list(range(count))
    assert np.array_equal(np.stack(list(images.values())), wanted(bundle, count))


@pytest.mark.slow
def test_ctrl_c_leaves_no_half_an_array(bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "images.npy"
    command = [*COMMAND, str(bundle), "--count", "20000000", "--out", str(out)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"of 20000000 images were made, {out} was not written" in stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["images.npy", "grid.png", "images"])
def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(bundle: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    done = subprocess.run([sys.executable, "-c", ON_A_FULL_DISK, "generate", str(bundle), "--count", "90",
                           "--out", str(out)], capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 1
    assert "cannot be written (File too large)" in done.stderr.splitlines()[-1]
    assert [file.name for file in tmp_path.rglob("*") if file.is_file() and file.name != ".generation.json"] == []


def test_an_array_larger_than_the_disk_is_refused_at_once(ganport: Ganport, bundle: Path, tmp_path: Path) -> None:
    outcome = ganport("generate", bundle, "--count", 10**15, "--out", tmp_path / "images.npy")
    assert outcome.exit_code == 1
    assert "ask for fewer images" in outcome.last_line
    assert names(tmp_path) == []


def test_a_place_that_cannot_be_is_named(ganport: Ganport, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    outcome = ganport("generate", bundle, "--count", 1, "--out", tmp_path / "file" / "grid.png")
    assert outcome.exit_code == 1
    assert f"{tmp_path / 'file' / 'grid.png'} cannot be written" in outcome.last_line


def test_a_folder_whose_record_was_being_written_is_gone_on_with(
    ganport: Ganport, bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "..generation.json.0123abcd.partial").write_text("{")
    assert ganport("generate", bundle, "--count", 2, "--out", tmp_path).exit_code == 0
    assert names(tmp_path) == [".generation.json", "00000000.png", "00000001.png"]


PEAK_CODE = """
import resource, sys
from ganport_cli.app import run
assert run(sys.argv[1:]) == 0
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_count(bundle: Path, tmp_path: Path) -> None:
    def peak(count: int) -> int:
        arguments = ["generate", str(bundle), "--count", str(count), "--out", str(tmp_path / f"{count}.npy")]
        done = subprocess.run([sys.executable, "-c", PEAK_CODE, *arguments], capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert peak(64_000) < peak(640) * 1.15
    assert (tmp_path / "64000.npy").stat().st_size > 49_000_000


def test_a_folder_of_another_bundle_is_refused(ganport: Ganport, bundle: Path, tmp_path: Path) -> None:
    other = make_bundle(tmp_path / "other.ganport", make_weights(seed=5))
    ganport("generate", bundle, "--count", 2, "--out", tmp_path / "images")
    outcome = ganport("generate", other, "--count", 2, "--out", tmp_path / "images")
    assert outcome.exit_code == 1
    assert "was begun with bundle " in outcome.last_line


def test_the_last_image_of_a_seed_can_be_made(ganport: Ganport, bundle: Path, tmp_path: Path) -> None:
    words = ("generate", bundle, "--start", 2**64 - 2, "--out", tmp_path / "a.npy", "--count")
    assert ganport(*words, 2).exit_code == 0
    assert ganport(*words, 3, "--overwrite").exit_code == 2
