"""`python -m ganport_bench.serving [RUN]`: `ganport serve` under load beside its peers; a miss is shown, no failure."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ganport_bench.command import Findings, OnStep, run_command
from ganport_bench.machine import Watch
from ganport_bench.serving.effort import FULL, PLANS, QUICK
from ganport_bench.serving.measure import SCENARIOS, measure
from ganport_bench.serving.report import report
from ganport_bench.serving.results import Results, to_json
from ganport_bench.serving.subject import subject

PROGRAM = "ganport_bench.serving"
WIDTH = 220  # columns where stderr is no terminal


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show tables on stderr and, on request, print the document on stdout."""
    options = _parser().parse_args(arguments)
    return run_command(PROGRAM, partial(_findings, options), width=WIDTH, as_json=options.json)


def _findings(options: argparse.Namespace, folder: Path, on_step: OnStep) -> Findings:
    watch = Watch()  # before, or the load would be the benchmark's own
    effort = QUICK if options.quick else FULL
    with subject(options.run, options.bundle, folder, effort.tuning_seconds, on_step) as served:
        results = measure(
            served,
            effort,
            on_step,
            scenarios=options.only,
            peers=() if options.no_peers else None,
            plans=options.plans,
            watch=watch,
            is_quick=options.quick,
        )
    return Findings([report(results)], _remarks(results), results.machine, to_json(results))


def _remarks(results: Results) -> list[str]:
    lines = [
        "Client, server and engine share the machine's cores, and where they compete the client goes first.",
        "CPU times are of a request, microseconds of a core.",
    ]
    if not results.subject["is_trained"]:
        lines.append("No run was given: these weights are hardly trained, so speeds hold and images mean nothing.")
    if results.is_quick:
        lines.append(f"Quick: {', '.join(QUICK.plans)} alone, few rounds, a short overload, fewer requests in a row.")
    return lines


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {PROGRAM}", description=__doc__)
    parser.add_argument("run", nargs="?", type=Path, help="a training run; without one, a few steps on digits")
    parser.add_argument("--bundle", type=Path, help="what is served; without one, it is exported from the run now")
    parser.add_argument("--only", nargs="+", choices=SCENARIOS, default=SCENARIOS, help=" ".join(SCENARIOS))
    parser.add_argument("--plans", nargs="+", choices=PLANS, help="as tuned, exact, or both; with --quick the first")
    parser.add_argument("--no-peers", action="store_true", help="leave LitServe and Triton out")
    parser.add_argument("--quick", action="store_true", help="few rounds, a short overload, fewer requests")
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")
    return parser


if __name__ == "__main__":
    sys.exit(main())
