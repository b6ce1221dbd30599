"""`python -m ganport_bench.speed [RUN]`: peers and plans side by side; a target that is missed is shown, no failure."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ganport_bench.command import Findings, OnStep, run_command
from ganport_bench.speed.document import Results, to_json
from ganport_bench.speed.effort import FULL, QUICK
from ganport_bench.speed.measure import measure, subject_of
from ganport_bench.speed.profile import profile_winners, table
from ganport_bench.speed.report import report

PROGRAM = "ganport_bench.speed"
WIDTH = 200  # columns where stderr is no terminal


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show tables on stderr and, on request, print the document on stdout."""
    options = _parser().parse_args(arguments)
    return run_command(PROGRAM, partial(_findings, options), width=WIDTH, as_json=options.json)


def _findings(options: argparse.Namespace, folder: Path, on_step: OnStep) -> Findings:
    subject = subject_of(options.run, options.bundle, plans=not options.peers_only, folder=folder, on_step=on_step)
    results = measure(subject, QUICK if options.quick else FULL, folder, on_step)
    profiles = profile_winners(subject.bundle, results) if options.profile and subject.bundle else []
    document = {"is_quick": options.quick, **to_json(results), "profiles": [one.to_json() for one in profiles]}
    tables = [report(results), *(table(one, results.peaks) for one in profiles)]
    return Findings(tables, _remarks(results, is_quick=options.quick), results.machine, document)


def _remarks(results: Results, *, is_quick: bool) -> list[str]:
    lines = []
    if not results.model["is_trained"]:
        lines.append("No run was given: these weights are hardly trained, so speeds hold and PSNR figures mean little.")
    if is_quick:
        lines.append("Quick: few rounds.")
    return lines


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
