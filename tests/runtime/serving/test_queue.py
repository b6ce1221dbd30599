"""The input queue: what it hands out, in which order, and when its helper has to wake up."""

from time import sleep
from typing import Any

import pytest
from ganport_runtime.batches import BUCKETS
from ganport_runtime.serving import Answer, DeadlineError
from ganport_runtime.serving.queue import LONGEST_SLEEP, Batch, InputQueue
from hypothesis import given
from hypothesis import strategies as st


def queue_of(seconds: float | None = None) -> InputQueue[Any]:
    """A queue for an engine whose runs all take as long, or grow with the batch."""
    costs = {bucket: 1e-6 * bucket if seconds is None else seconds for bucket in BUCKETS}
    return InputQueue(costs, max_delay=0.0, max_queue=10_000)


def run(queue: InputQueue[Any]) -> Batch[Any]:
    batch = queue.next_batch()
    assert isinstance(batch, Batch)
    queue.ended(batch, failed=False)
    return batch


@given(st.lists(st.tuples(st.integers(1, 200), st.booleans()), min_size=1, max_size=12))
def test_every_row_that_is_not_cancelled_is_run_once_and_large_requests_take_turns(
    asked: list[tuple[int, bool]],
) -> None:
    queue = queue_of()
    answers: list[Answer[Any]] = [Answer() for _ in asked]
    for index, (count, _) in enumerate(asked):
        queue.submit(answers[index], (index, 0), count, None)
    for answer, (_, is_cancelled) in zip(answers, asked, strict=True):
        assert not is_cancelled or answer.cancel()
    wanted = {index: count for index, (count, is_cancelled) in enumerate(asked) if not is_cancelled}
    assert queue.waiting == queue.stats().queued == sum(wanted.values())
    rows: dict[int, list[int]] = {index: [] for index in wanted}
    last, in_a_row = -1, 0
    while queue.waiting:
        batch = run(queue)
        assert batch.images == sum(part.count for part in batch.parts) <= batch.bucket
        for part in batch.parts:
            index = part.request.source[0]
            rows[index] += range(part.first, part.first + part.count)
            assert all(rows[other] for other in wanted if other < index)  # first come, first served
            in_a_row = part.count + (in_a_row if index == last else 0)
            last = index
            others = any(len(rows[other]) < count for other, count in wanted.items() if other != index)
            assert in_a_row <= 64 or not others
    assert rows == {index: list(range(count)) for index, count in wanted.items()}


def test_a_deadline_of_a_request_that_left_does_not_wake_the_helper_again() -> None:
    queue = queue_of()
    answer: Answer[Any] = Answer()
    queue.submit(answer, (0, 0), 1, 0.01)
    assert answer.cancel()
    sleep(0.02)
    assert queue.drop_late() == []  # what the helper does when it wakes up
    assert queue.helper_sleep() > 1.0  # otherwise it would wake up again and again
    queue.submit(Answer(), (0, 0), 1, 0.5)
    run(queue)
    assert queue.helper_sleep() > 1.0


def test_the_helper_wakes_for_the_earliest_deadline_whatever_the_order() -> None:
    queue = queue_of()
    for timeout, most in ((None, LONGEST_SLEEP), (3000.0, 3000.0), (2000.0, 2000.0), (3000.0, 2000.0), (100.0, 100.0)):
        queue.submit(Answer(), (0, 0), 1, timeout)
        assert most / 2 < queue.helper_sleep() <= most  # far beyond what the machine's load takes off


def test_the_time_until_the_engine_is_free_counts_for_a_deadline() -> None:
    queue = queue_of(seconds=1.0)
    queue.submit(Answer(), (0, 0), 1, None)
    assert isinstance(queue.next_batch(), Batch)  # it runs for a second from now on
    with pytest.raises(DeadlineError):
        queue.submit(Answer(), (0, 0), 1, 1.5)
    queue.submit(Answer(), (0, 0), 1, 2.5)
    assert queue.drop_late() == []


def test_a_large_request_ahead_counts_with_one_turn_alone() -> None:
    queue = queue_of(seconds=1.0)
    queue.submit(Answer(), (0, 0), 1, None)
    assert isinstance(queue.next_batch(), Batch)
    queue.submit(Answer(), (0, 0), 640, None)  # ten more runs
    queue.submit(Answer(), (0, 0), 1, 4.0)  # in the second of them
    assert queue.drop_late() == []
    assert queue.waiting == 641
