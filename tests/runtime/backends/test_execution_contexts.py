"""What a session holds for each batch size: made once, freed in order, never used by two threads."""

import threading
from contextlib import ExitStack
from typing import Any

import pytest
from ganport_runtime import ClosedError
from ganport_runtime.backends.cuda import ExecutionContexts


class Maker:
    """Makes contexts that note what happens to them."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def __call__(self, key: Any) -> Any:
        def make(stack: ExitStack) -> str:
            for part in ("memory", "graph"):
                self.events.append(f"take {part} {key}")
                stack.callback(self.events.append, f"free {part} {key}")
            if key == "broken":
                raise ValueError(key)
            return f"context {key}"

        return make


def test_a_context_is_made_once_and_all_are_freed_last_made_first() -> None:
    contexts: ExecutionContexts[str] = ExecutionContexts()
    make = Maker()
    for key in (1, 64, 1, 64):
        with contexts.using(key, make(key)) as context:
            assert context == f"context {key}"
    assert make.events == ["take memory 1", "take graph 1", "take memory 64", "take graph 64"]
    contexts.close()
    assert make.events[4:] == ["free graph 64", "free memory 64", "free graph 1", "free memory 1"]
    contexts.close()
    assert len(make.events) == 8
    with pytest.raises(ClosedError, match="this session is closed; open the bundle again"), contexts.using(1, make(1)):
        pass


def test_a_context_that_fails_gives_back_what_it_took_and_is_tried_again() -> None:
    contexts: ExecutionContexts[str] = ExecutionContexts()
    make = Maker()
    for _ in range(2):
        with pytest.raises(ValueError, match="broken"), contexts.using("broken", make("broken")):
            pass
    assert make.events == 2 * ["take memory broken", "take graph broken", "free graph broken", "free memory broken"]
    with contexts.using(1, make(1)) as context:
        assert context == "context 1"


@pytest.mark.parametrize("sessions", [1, 2])
def test_one_thread_at_a_time_whatever_the_session(sessions: int) -> None:
    contexts: list[ExecutionContexts[str]] = [ExecutionContexts() for _ in range(sessions)]
    meeting = threading.Barrier(2)
    alone: list[bool] = []

    def work(contexts: ExecutionContexts[str]) -> None:
        with contexts.using(1, lambda _: "context"):
            try:
                meeting.wait(0.3)
            except threading.BrokenBarrierError:
                alone.append(True)

    threads = [threading.Thread(target=work, args=(contexts[index % sessions],)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert alone == [True, True]  # the other thread never came in meanwhile
