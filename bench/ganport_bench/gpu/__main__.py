"""`python -m ganport_bench.gpu`: the tests and the benchmark that need an NVIDIA GPU; one line where there is none."""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ganport_bench.gpu.benchmark import run_benchmark
from ganport_bench.gpu.driver import missing_gpu
from ganport_bench.gpu.environment import make_environment
from ganport_bench.gpu.failure import GpuError
from ganport_bench.gpu.outcome import Outcome, run_tests
from ganport_bench.gpu.page import page
from ganport_bench.gpu.requirements import requirements

ROOT = Path(__file__).parents[3]
PAGE = "gpu-results.md"


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Look for a GPU, make the environment, test, measure, write the page.

    Returns:
        The exit status: 0, also where there is no GPU; 1 after a failure, which one line tells; 130 after Ctrl-C.
    """
    options = _parser().parse_args(arguments)
    try:
        return _main(options, root)
    except GpuError as error:
        print(f"make gpu: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("make gpu: interrupted", file=sys.stderr)
        return 130


def _main(options: argparse.Namespace, root: Path) -> int:
    if options.list:
        wanted = requirements(root / "pyproject.toml")
        print("\n".join([*wanted.needed, *wanted.welcome]))
        return 0
    reason = None if options.prepare else missing_gpu()
    if reason is not None:
        print(f"make gpu: {reason}; there is nothing to test and to measure")
        return 0
    python = _environment(options.wheels, root)
    if options.prepare:
        return 0
    results = root / "gpu-results" / time.strftime("%Y-%m-%dT%H-%M-%S")
    results.mkdir(parents=True)
    tests = run_tests(python, root, results)
    document = run_benchmark(python, root, results, run=options.run, quick=options.quick)
    _write_page(document, tests, [results / PAGE, root / "docs" / PAGE])
    print(f"Tests: {tests}. Results are in {results}, the page is docs/{PAGE} too.", file=sys.stderr)
    if tests.failed:
        raise GpuError(f"{tests.failed} of the tests marked gpu failed; see {results / 'tests.xml'}")
    return 0


def _environment(wheels: Path | None, root: Path) -> Path:
    """Of the wheels, or the usual one of every other target."""
    if wheels is not None:
        if not wheels.is_dir():
            raise GpuError(f"WHEELS is {wheels}, which is no folder")
        return make_environment(root, wheels.resolve())
    command = ["make", "--no-print-directory", ".venv/.installed", f"PYTHON={sys.executable}"]
    if subprocess.run(command, cwd=root, check=False).returncode != 0:
        raise GpuError("the environment could not be made; without an index: make gpu WHEELS=folder")
    return root / ".venv" / "bin" / "python"


def _write_page(document: Path, tests: Outcome, paths: Sequence[Path]) -> None:
    text = page(json.loads(document.read_text("utf-8")), tests)
    for path in paths:
        aside = path.with_suffix(".part")
        aside.write_text(text, "utf-8")
        aside.replace(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make gpu", description=__doc__)
    parser.add_argument("--wheels", type=Path, metavar="FOLDER", help="make the environment of these, with no index")
    parser.add_argument("--run", type=Path, help="measure this training run; without one, a small one is trained")
    parser.add_argument("--quick", action="store_true", help="few rounds")
    parser.add_argument("--prepare", action="store_true", help="make the environment and stop; needs no GPU")
    parser.add_argument("--list", action="store_true", help="print what the folder of wheels should hold, and stop")
    return parser


if __name__ == "__main__":
    sys.exit(main())
