"""One whole run on a tiny network, whose document several tests read."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from ganport_bench.whole import Asked, Whole, measure_whole, remarks, tables, to_json
from rich.console import Console, Group

from tests.support.tiny_run import QUICKEST, make_tiny_bundle, make_tiny_run, measure_quickly

EFFORT = replace(
    QUICKEST, levels=(1, 4), window_seconds=0.1, most_windows=4, fractions=(0.3,), rate_seconds=0.3, samples=20,
    most_rate_seconds=0.5, lead_seconds=0.1, beyond=1,
)  # fmt: skip


@contextmanager
def quickly() -> Iterator[pytest.MonkeyPatch]:
    """Everything at its quickest, and PyTorch's threads left as they were."""
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        measure_quickly(patch)
        yield patch
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_run(tmp_path_factory.mktemp("whole-run"))


@pytest.fixture(scope="session")
def bundle(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_bundle(run, tmp_path_factory.mktemp("whole-bundle"))


@pytest.fixture(scope="session")
def whole(run: Path, bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """Everyone's speed and a server under load, of a run and its bundle."""
    folder = tmp_path_factory.mktemp("whole")
    asked = Asked(run, EFFORT, folder / "logs", bundle, parts=("speed", "nodes", "load"), batches=(1, 8, 64))
    with quickly() as patch:
        patch.setenv("GANPORT_CACHE", str(folder / "mine"))
        found = measure_whole(asked, folder / "work", lambda _step: None)
        assert os.environ["GANPORT_CACHE"] == str(folder / "mine")
    assert not (folder / "mine").exists(), "the user's own tuning records are left alone"
    return found


@pytest.fixture(scope="session")
def document(whole: Whole) -> dict[str, Any]:
    """As it is read back from a file."""
    document: dict[str, Any] = json.loads(json.dumps(to_json(whole), allow_nan=False))
    return document


@pytest.fixture(scope="session")
def people(whole: Whole) -> str:
    """What people read."""
    console = Console(width=220)
    with console.capture() as capture:
        console.print(Group(*tables(whole)))
    return capture.get() + "\n".join(remarks(whole))
