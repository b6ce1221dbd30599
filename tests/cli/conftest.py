"""A small bundle, and the command line run in this process."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ganport_cli.app import run

from tests.support.bundles import Weights, make_bundle, make_weights


@dataclass(frozen=True)
class Outcome:
    """What one command line came to."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.stdout)

    @property
    def last_line(self) -> str:
        return self.stderr.rstrip().splitlines()[-1]


Ganport = Callable[..., Outcome]


@pytest.fixture
def ganport(capsys: pytest.CaptureFixture[str]) -> Ganport:
    def call(*words: object) -> Outcome:
        exit_code = run([str(word) for word in words])
        captured = capsys.readouterr()
        return Outcome(exit_code, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def weights() -> Weights:
    return make_weights()


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory, weights: Weights) -> Path:
    """To be read only."""
    return make_bundle(tmp_path_factory.mktemp("bundles") / "tiny.ganport", weights)
