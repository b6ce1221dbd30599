"""`python -m ganport_bench.speed [RUN]`: peers and plans side by side; a target that is missed is shown, no failure."""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from ganport_bench.speed.document import Results, to_json
from ganport_bench.speed.effort import FULL, QUICK
from ganport_bench.speed.measure import OnStep, measure, subject_of
from ganport_bench.speed.profile import Profile, profile_winners, table
from ganport_bench.speed.report import report

PROGRAM = "ganport_bench.speed"
BUSY = 0.7  # load average of one minute before the first measurement
WIDTH = 200  # columns where stderr is no terminal


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show tables on stderr and, on request, print the document on stdout."""
    options = _parser().parse_args(arguments)
    terminal = Console(stderr=True, width=None if sys.stderr.isatty() else WIDTH, highlight=False)
    begun = time.perf_counter()
    try:
        with terminal.status("") as status, tempfile.TemporaryDirectory(prefix="ganport-speed-") as folder:
            results, profiles = _measure(options, Path(folder), status.update)
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if not type(error).__module__.startswith("ganport_"):
            raise
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 1
    terminal.print(report(results))
    for profile in profiles:
        terminal.print(table(profile, results.peaks))
    terminal.print(_footer(results, time.perf_counter() - begun, is_quick=options.quick), markup=False)
    if options.json:
        document = {"is_quick": options.quick, **to_json(results), "profiles": [one.to_json() for one in profiles]}
        print(json.dumps(document, indent=2, allow_nan=False))
    return 0


def _measure(options: argparse.Namespace, folder: Path, on_step: OnStep) -> tuple[Results, list[Profile]]:
    subject = subject_of(options.run, options.bundle, plans=not options.peers_only, folder=folder, on_step=on_step)
    results = measure(subject, QUICK if options.quick else FULL, folder, on_step)
    profiles = profile_winners(subject.bundle, results) if options.profile and subject.bundle else []
    return results, profiles


def _footer(results: Results, seconds: float, *, is_quick: bool) -> str:
    facts, model = results.machine, results.model
    load = facts["load_average_1min"]
    lines = []
    if not model["is_trained"]:
        lines.append("No run was given: these weights are hardly trained, so speeds hold and PSNR figures mean little.")
    if load and load > BUSY:
        lines.append(f"The machine was busy before (load {load:.1f}): expect noise.")
    packages = ", ".join(f"{name} {version}" for name, version in facts["packages"].items() if version)
    quick = "quick: few rounds; " if is_quick else ""
    lines.append(
        f"{quick}{facts['cpu']}, {facts['cores']} cores, Python {facts['python']}, {packages}; {seconds:.0f} s"
    )
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {PROGRAM}", description=__doc__)
    parser.add_argument("run", nargs="?", type=Path, help="a training run; without one, a few steps on digits")
    parser.add_argument("--bundle", type=Path, help="what was exported from it; without one, it is exported now")
    parser.add_argument("--peers-only", action="store_true", help="leave ganport's plans out")
    parser.add_argument("--profile", action="store_true", help="per-node time of the best plans that OpenVINO runs")
    parser.add_argument("--quick", action="store_true", help="few rounds")
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")
    return parser


if __name__ == "__main__":
    sys.exit(main())
