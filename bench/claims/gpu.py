"""What `make gpu` runs on a machine with an NVIDIA GPU: the tests marked `gpu`, the benchmark, docs/gpu-results.md.

`--missing` and `--list` need nothing but Python's own library; all else runs in the environment that `make gpu` makes.
"""

import argparse
import ctypes
import json
import re
import subprocess
import sys
import time
import tomllib
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PAGE = "gpu-results.md"
BUNDLE = "generator.ganport"
DRIVERS = {"linux": "libcuda.so.1", "win32": "nvcuda.dll"}

NEEDED = ("gpu", "train", "optimize", "cli")  # extras without which there are no tests and no benchmark
WELCOME = ("bench", "features", "rtx", "tensorrt", "openvino", "serve")  # each adds baselines, plans or parts
TESTING = ("pytest", "hypothesis")  # of `dev`; pytest's settings name hypothesis
ON_GPU, ON_CPU = "onnxruntime-gpu", "onnxruntime"  # either breaks the other
CUDNN = "nvidia-cudnn-"  # the beginning of its wheels' names, for any version of CUDA

MARK = re.compile(r"\bmark\.gpu\b")
ENDED = (0, 1, 5)  # pytest's exit statuses: all passed, some failed, whole files were skipped
# Of the size that the project's figures are about. After so few steps its speed means something, its images little.
TRAINING = ("--data", "digits", "--resolution", "64", "--width", "64", "--batch-size", "16", "--steps", "100")
BUILDERS = {"tensorrt-rtx": "tensorrt_rtx", "tensorrt": "tensorrt"}


class GpuError(Exception):
    """One line: what was given, what is wanted, what to do."""


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """The exit status: 0, or 1 after a failure, which one line explains."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--missing", action="store_true", help="print why CUDA has nothing to run on, or nothing")
    parser.add_argument("--list", choices=("all", "needed", "welcome"), help="print what the environment is made of")
    parser.add_argument("--wheels", type=Path, metavar="FOLDER", help="with --list: as far as these wheels go")
    parser.add_argument("--run", type=Path, help="measure this training run; without one, a small one is trained")
    parser.add_argument("--quick", action="store_true", help="few rounds")
    options = parser.parse_args(arguments)
    try:
        if options.missing:
            print(missing_gpu() or "", end="")
        elif options.list:
            print("\n".join(requirements(root, options.list, options.wheels)))
        else:
            measure(root, options.run, quick=options.quick)
    except GpuError as error:
        print(f"make gpu: {error}", file=sys.stderr)
        return 1
    return 0


def missing_gpu() -> str | None:
    """Why CUDA has nothing to run on, as NVIDIA's driver says; None if there is a GPU."""
    library = DRIVERS.get(sys.platform)
    if library is None:
        return f"there is no CUDA for {sys.platform}"
    try:
        driver = ctypes.CDLL(library)
    except OSError:
        return f"no NVIDIA driver ({library} cannot be loaded)"
    status, count = driver.cuInit(0), ctypes.c_int(0)
    if status == 0:
        status = driver.cuDeviceGetCount(ctypes.byref(count))
    if status != 0:
        return f"the NVIDIA driver finds no GPU that it can use (CUDA error {status})"
    return None if count.value else "the NVIDIA driver is there without a GPU"


# --- the environment


def requirements(root: Path, which: str, wheels: Path | None) -> list[str]:
    """Lines for pip, each package once, without ganport itself and without the onnxruntime of CPUs."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    testing = [line for line in extras["dev"] if _name(line) in TESTING]
    needed = _once([*project["dependencies"], *(line for extra in NEEDED for line in extras[extra]), *testing], ())
    welcome = _once((line for extra in WELCOME for line in extras[extra]), map(_name, needed))
    if wheels is not None:
        if not wheels.is_dir():
            raise GpuError(f"WHEELS is {wheels}, which is no folder")
        there = {_normal(wheel.name.split("-")[0]) for wheel in wheels.glob("*.whl")}
        needed = [_from_wheels(line, there) for line in needed]
        welcome = [line for line in welcome if _name(line) in there]
        lacking = [_name(line) for line in needed if _name(line) not in there]
        if lacking:
            raise GpuError(
                f"{wheels} lacks wheels of {', '.join(lacking)}; "
                "fill it on a machine with an index, as docs/gpu-results.md shows"
            )
    return {"needed": needed, "welcome": welcome, "all": [*needed, *welcome]}[which]


def _from_wheels(line: str, there: Collection[str]) -> str:
    """ONNX Runtime for CPUs if there is none for a GPU; CUDA of the system if the folder has no cuDNN."""
    if _name(line) != ON_GPU:
        return line
    if ON_GPU not in there and ON_CPU in there:
        return ON_CPU
    return line if any(name.startswith(CUDNN) for name in there) else re.sub(r"\[.*?\]", "", line)


def _once(lines: Iterable[str], but: Iterable[str]) -> list[str]:
    first, left_out = dict[str, str](), {"ganport", ON_CPU, *but}
    for line in lines:
        first.setdefault(_name(line), line)
    return [line for name, line in first.items() if name not in left_out]


def _name(line: str) -> str:
    found = re.match(r"[\w.-]+", line)
    return _normal(found[0]) if found else ""


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


# --- tests and benchmark


def measure(root: Path, run: Path | None, *, quick: bool) -> None:
    """Test, measure, and write the page; without a run one is trained."""
    page = root / "docs" / PAGE
    if not page.is_file() or "<!-- bench: gpu -->" not in page.read_text("utf-8"):  # before anything is measured
        raise GpuError(f"docs/{PAGE} is missing, or has no line <!-- bench: gpu -->")
    import docs_pages
    from ganport_bench.errors import BenchError
    from ganport_bench.tables import Table
    from ganport_runtime.atomic import write_bytes

    results = root / "gpu-results" / time.strftime("%Y-%m-%dT%H-%M-%S")
    results.mkdir(parents=True)
    tests, failed = run_tests(root, results)
    document = run_benchmark(root, results, run, quick=quick)
    try:
        docs_pages.refresh(page, {"whole": results / "bench.json"}, None)
        lines = Table("", note="\n".join(_lines(document, tests, results / BUNDLE)))
        text, _ = docs_pages.replace_places(page.read_text("utf-8"), {"gpu": [lines]})
    except BenchError as error:
        raise GpuError(f"docs/{PAGE}: {error}") from error
    for path in (results / PAGE, page):
        write_bytes(path, text.encode())
    print(f"Tests: {tests}. Results are in {results}, the page is docs/{PAGE} too.", file=sys.stderr)
    if failed:
        raise GpuError(f"{failed} of the tests marked gpu failed; see {results / 'tests.xml'}")


def run_tests(root: Path, results: Path) -> tuple[str, int]:
    """Run the tests marked `gpu`: what came of them in words, and how many failed, errors included.

    Pytest's own report goes to the terminal and to `results`/tests.xml.

    Only files with such a test are collected: others may need what is not installed here.
    """
    files = sorted(path for path in (root / "tests").rglob("test_*.py") if MARK.search(path.read_text("utf-8")))
    record = results / "tests.xml"
    command: list[str | Path] = [sys.executable, "-m", "pytest", "-m", "gpu", f"--junitxml={record}", *files]
    status = subprocess.run(command, cwd=root, check=False).returncode
    if status not in ENDED or not record.is_file():
        raise GpuError(f"pytest ended with {status} before its tests had run; its words are above")
    cases = list(ET.parse(record).getroot().iter("testcase"))
    skipped = Counter(_reason(found) for case in cases for found in case.findall("skipped"))
    failed = sum(case.find("failure") is not None or case.find("error") is not None for case in cases)
    passed = len(cases) - failed - skipped.total()
    reasons = "; ".join(f"{count} x {reason}" for reason, count in skipped.items())
    told = f"{passed} passed, {failed} failed, {skipped.total()} skipped" + (f" ({reasons})" if reasons else "")
    if not passed and not failed:
        raise GpuError(f"there is a GPU, and no gpu test ran: {told}")
    return told, failed


def _reason(skipped: ET.Element) -> str:
    """Why a test was skipped; if a whole file was, the reason is in the text."""
    whole_file = re.search(r"Skipped: (.*?)['\"]\)?$", skipped.text or "")
    return whole_file[1] if whole_file else str(skipped.get("message"))


def run_benchmark(root: Path, results: Path, run: Path | None, *, quick: bool) -> dict[str, Any]:
    """Train unless a run is given, export with engines, and measure: the document of `ganport bench --json`."""
    measured, bundle = run or results / "run", results / BUNDLE
    if run is None:
        _ganport(root, "train", *TRAINING, "--out", measured)
    engines = ",".join(name for name, module in BUILDERS.items() if _imports(module))
    _ganport(root, "export", measured, "--out", bundle, *(("--engines", engines) if engines else ()))
    words = ("--bundle", bundle, "--report", results / "report", "--json", *(("--quick",) if quick else ()))
    printed = _ganport(root, "bench", measured, *words, keep=True)
    (results / "bench.json").write_text(printed, "utf-8")
    document: dict[str, Any] = json.loads(printed)
    return document


def _ganport(root: Path, *words: str | Path, keep: bool = False) -> str:
    command: Sequence[str | Path] = [sys.executable, "-m", "ganport_cli", *words]
    done = subprocess.run(command, cwd=root, stdout=subprocess.PIPE if keep else None, text=True, check=False)
    if done.returncode != 0:
        raise GpuError(f"ganport {words[0]} ended with {done.returncode}; its words are above")
    return done.stdout or ""


def _imports(module: str) -> bool:
    return subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True, check=False).returncode == 0


def _lines(document: Mapping[str, Any], tests: str, bundle: Path) -> Iterator[str]:
    """What is to be known before the tables: the GPUs, what held them back, the network, the tests."""
    machine = document["machine"]
    yield from (f"- GPU: {_gpu(gpu)}" for gpu in machine["gpus"])
    if machine["gpu_note"]:
        yield f"- GPU: {machine['gpu_note']}"
    steps = json.loads((bundle / "manifest.json").read_text("utf-8"))["training"].get("steps")
    length = f"{steps:,} steps" if isinstance(steps, int) else "unknown length"
    noise = "" if document["model"]["is_trained"] else ", hardly trained: its images are noise"
    yield f"- Measured: a run of {length}{noise}"
    yield f"- Tests marked `gpu`: {tests}"


def _gpu(gpu: Mapping[str, Any]) -> str:
    limit, throttled = gpu.get("power_limit_watts"), gpu.get("throttled_seconds") or {}
    words = [gpu["name"], f"{gpu['memory_bytes'] / 2**30:.0f} GiB" if gpu["memory_bytes"] else ""]
    words += [f"compute capability {gpu['compute_capability']}", f"driver {gpu['driver']}"]
    words.append(f"power limit {limit:g} W" if limit else "")
    words += [f"held back for {one:g} s by {why.replace('_', ' ')}" for why, one in throttled.items() if one]
    return ", ".join(word for word in words if word)


if __name__ == "__main__":
    sys.exit(main())
