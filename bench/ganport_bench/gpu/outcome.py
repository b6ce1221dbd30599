"""Runs every test that is marked `gpu`, and finds out whether any of them really ran."""

import re
import subprocess
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ganport_bench.gpu.failure import GpuError

__all__ = ["Outcome", "read_tests", "run_tests"]

MARK = re.compile(r"\bmark\.gpu\b")
ENDED = (0, 1, 5)  # of pytest's exit statuses: all passed, some failed, whole files were skipped


@dataclass(frozen=True)
class Outcome:
    """What came of them.

    Attributes:
        passed: how many.
        failed: how many, those with errors too.
        skipped: how many, by the reason that each gave.
    """

    passed: int
    failed: int
    skipped: Mapping[str, int]

    def __str__(self) -> str:
        reasons = "; ".join(f"{count} x {reason}" for reason, count in self.skipped.items())
        return f"{self.passed} passed, {self.failed} failed, {sum(self.skipped.values())} skipped" + (
            f" ({reasons})" if reasons else ""
        )


def run_tests(python: Path, root: Path, results: Path) -> Outcome:
    """Run them; pytest's own report goes to the terminal and to `results`/tests.xml.

    Only files with such a test are collected: others may need what is not installed here.

    Raises:
        GpuError: pytest did not come to its end, or everything was skipped.
    """
    files = sorted(path for path in (root / "tests").rglob("test_*.py") if MARK.search(path.read_text("utf-8")))
    record = results / "tests.xml"
    command: list[str | Path] = [python, "-m", "pytest", "-m", "gpu", f"--junitxml={record}", *files]
    status = subprocess.run(command, cwd=root, check=False).returncode
    if status not in ENDED or not record.is_file():
        raise GpuError(f"pytest ended with {status} before its tests had run; its words are above")
    found = read_tests(record)
    if not found.passed and not found.failed:
        raise GpuError(f"there is a GPU, and no gpu test ran: {found}")
    return found


def read_tests(record: Path) -> Outcome:
    """What a JUnit file tells."""
    cases = list(ET.parse(record).getroot().iter("testcase"))
    skipped = Counter(_reason(found) for case in cases for found in case.findall("skipped"))
    failed = sum(case.find("failure") is not None or case.find("error") is not None for case in cases)
    return Outcome(len(cases) - failed - skipped.total(), failed, dict(skipped))


def _reason(skipped: ET.Element) -> str:
    """Of one test; of a whole file that was skipped, the reason lies in the text."""
    whole_file = re.search(r"Skipped: (.*?)['\"]\)?$", skipped.text or "")
    return whole_file[1] if whole_file else str(skipped.get("message"))
