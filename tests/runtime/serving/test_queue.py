"""The input queue: what it hands out, in which order, and when its helper has to wake up."""

from time import sleep
from typing import Any

from ganport_runtime.buckets import BUCKETS
from ganport_runtime.serving import Answer
from ganport_runtime.serving.queue import LONGEST_SLEEP, Batch, InputQueue
from hypothesis import given
from hypothesis import strategies as st


def queue_of(max_queue: int = 10_000) -> InputQueue[Any]:
    return InputQueue({bucket: 1e-6 * bucket for bucket in BUCKETS}, max_delay=0.0, max_queue=max_queue)


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
    while queue.waiting:
        batch = run(queue)
        assert batch.images == sum(part.count for part in batch.parts) <= batch.bucket
        for part in batch.parts:
            rows[part.request.source[0]] += range(part.first, part.first + part.count)
            others = [other for other in wanted if not rows[other] and other < part.request.source[0]]
            assert not others  # the first turn of every request comes before the second of any, in order
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


@given(st.lists(st.one_of(st.none(), st.floats(0.5, 100)), min_size=1, max_size=8))
def test_the_helper_wakes_for_the_earliest_deadline(timeouts: list[float | None]) -> None:
    queue = queue_of()
    for timeout in timeouts:
        queue.submit(Answer(), (0, 0), 1, timeout)
    earliest = min((timeout for timeout in timeouts if timeout is not None), default=LONGEST_SLEEP)
    assert 0 <= earliest - queue.helper_sleep() < 0.4
