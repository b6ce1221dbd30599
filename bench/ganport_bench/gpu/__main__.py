"""`python -m ganport_bench.gpu`: the tests and the benchmark that need an NVIDIA GPU; one line where there is none."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ganport_bench.gpu import source
from ganport_bench.gpu.benchmark import BUNDLE, run_benchmark, steps_of
from ganport_bench.gpu.driver import missing_gpu
from ganport_bench.gpu.environment import make_environment
from ganport_bench.gpu.failure import GpuError
from ganport_bench.gpu.outcome import run_tests
from ganport_bench.gpu.page import check_places, fill
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
    page = _page(root / "docs" / PAGE)
    results = root / "gpu-results" / time.strftime("%Y-%m-%dT%H-%M-%S")
    results.mkdir(parents=True)
    tests = run_tests(python, root, results)
    document = run_benchmark(python, root, results, run=options.run, quick=options.quick)
    filled = fill(page, json.loads(document.read_text("utf-8")), tests, steps_of(results / BUNDLE))
    for path in (results / PAGE, root / "docs" / PAGE):
        _replace(path, filled)
    print(f"Tests: {tests}. Results are in {results}, the page is docs/{PAGE} too.", file=sys.stderr)
    if tests.failed:
        raise GpuError(f"{tests.failed} of the tests marked gpu failed; see {results / 'tests.xml'}")
    return 0


def _environment(folder: Path | None, root: Path) -> Path:
    """Of the wheels, or of the index."""
    if folder is None:
        return make_environment(root, source.index(root))
    if not folder.is_dir():
        raise GpuError(f"WHEELS is {folder}, which is no folder")
    return make_environment(root, source.wheels(root, folder.resolve()))


def _page(path: Path) -> str:
    """The page as it is, with a place for every section: this is seen before anything is measured."""
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise GpuError(f"the page {path} cannot be read ({error.strerror}); its text is ganport's own") from error
    check_places(text)
    return text


def _replace(path: Path, text: str) -> None:
    """Write a file in one step."""
    aside = path.with_suffix(".part")
    aside.write_text(text, "utf-8")
    aside.replace(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make gpu", description=__doc__)
    parser.add_argument("--wheels", type=Path, metavar="FOLDER", help="take packages from these wheels, with no index")
    parser.add_argument("--run", type=Path, help="measure this training run; without one, a small one is trained")
    parser.add_argument("--quick", action="store_true", help="few rounds")
    parser.add_argument("--prepare", action="store_true", help="make the environment and stop; needs no GPU")
    parser.add_argument("--list", action="store_true", help="print what the folder of wheels should hold, and stop")
    return parser


if __name__ == "__main__":
    sys.exit(main())
