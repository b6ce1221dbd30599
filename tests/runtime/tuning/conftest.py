"""A bundle of several variants, a cache of its own for each test, and short turns."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bundles import Weights, make_variety


@pytest.fixture(autouse=True, scope="module")
def _short_turns() -> Iterator[None]:
    """Few turns, long enough for the tests' tiny networks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ganport_runtime.tuning.tuner.TURN_SECONDS", 0.001)
        patch.setattr("ganport_runtime.tuning.timing.MOST_ROUNDS", 2)
        yield


@pytest.fixture(scope="module")
def variety(tmp_path_factory: pytest.TempPathFactory, weights: Weights) -> Path:
    """Two forms of fp32 and a real int8."""
    return make_variety(tmp_path_factory.mktemp("tuning") / "variety.ganport", weights)
