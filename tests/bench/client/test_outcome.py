"""Rates of good answers from known times."""

import numpy as np
import pytest
from ganport_bench.client.outcome import Outcome


def test_where_nothing_came_before_the_first_answers_took_since_the_beginning() -> None:
    """An answer 1.2 s after the beginning is no 3.3 a second since 0.9 s."""
    answered = np.array([1.2])
    outcome = Outcome(answered - 1.2, answered - 1.2, answered, np.full(1, 200, np.int16), {}, {}, 0, 0, 1.0, 1.2)
    assert outcome.rate(0.9, 1.9) == pytest.approx(1 / 1.2)


def test_answers_that_come_in_batches_have_the_same_rate_in_any_window() -> None:
    answered = np.repeat(np.arange(1, 51) * 0.1, 64)
    status = np.full(len(answered), 200, np.int16)
    outcome = Outcome(answered - 0.1, answered - 0.1, answered, status, {}, {}, 0, 0, 1.0, 5.0)
    for begin in (0.0, 0.31, 0.39, 1.05):
        assert outcome.rate(begin, begin + 1) == pytest.approx(640)
    assert outcome.rate(5.1, 6.0) == 0
