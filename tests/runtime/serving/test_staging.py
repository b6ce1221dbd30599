"""The next batch knows the earliest deadline of those who still wait for it, or an earlier one."""

from math import inf

from ganport_runtime.serving.answer import Answer
from ganport_runtime.serving.requests import Part, Request
from ganport_runtime.serving.staging import Staging
from hypothesis import given
from hypothesis import strategies as st

Deadlines = st.lists(st.floats(1, 100), min_size=1, max_size=8)


def staged(deadlines: list[float]) -> Staging[object]:
    staging: Staging[object] = Staging((1,), "float32")
    requests = [Request[object](Answer(), (0, 0), 1, 0.0, deadline) for deadline in deadlines]
    staging.add([Part(request, 0, 1) for request in requests], len(requests), 0.0)
    for request in requests:
        request.staged = 1
    return staging


def waiting(staging: Staging[object]) -> float:
    """The first deadline of all that were not dropped."""
    return min((part.request.deadline for part in staging.parts if not part.request.is_settled), default=inf)


@given(Deadlines, st.data())
def test_the_deadline_of_what_was_dropped_counts_no_more(deadlines: list[float], data: st.DataObject) -> None:
    staging = staged(deadlines)
    assert staging.earliest == waiting(staging)
    for part in data.draw(st.lists(st.sampled_from(staging.parts))):
        part.request.is_settled = staging.has_dropped = True
    assert staging.earliest <= waiting(staging)
    staging.renew()  # else the helper would wake again and again for somebody who is gone
    assert staging.earliest == waiting(staging)
    staging.compact()
    assert staging.earliest == waiting(staging)


@given(Deadlines, st.data())
def test_a_batch_that_leaves_takes_no_deadline_of_the_others_with_it(
    deadlines: list[float], data: st.DataObject
) -> None:
    staging = staged(deadlines)
    images = data.draw(st.integers(1, len(deadlines)))
    staging.cut(images, 8, 0.0, 0.0)
    assert staging.earliest <= waiting(staging)
    assert (staging.earliest == inf) == (images == len(deadlines))
