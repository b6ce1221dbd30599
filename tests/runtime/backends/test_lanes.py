"""What a session holds for each batch size: made once, freed in order, never used by two threads."""

import threading
from contextlib import ExitStack
from typing import Any

import pytest
from ganport_runtime import ClosedError
from ganport_runtime.backends.cuda import Lanes


class Maker:
    """Makes lanes that note what happens to them."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def __call__(self, key: Any) -> Any:
        def make(stack: ExitStack) -> str:
            for part in ("memory", "graph"):
                self.events.append(f"take {part} {key}")
                stack.callback(self.events.append, f"free {part} {key}")
            if key == "broken":
                raise ValueError(key)
            return f"lane {key}"

        return make


def test_a_lane_is_made_once_and_all_are_freed_last_made_first() -> None:
    lanes: Lanes[str] = Lanes()
    make = Maker()
    for key in (1, 64, 1, 64):
        with lanes.using(key, make(key)) as lane:
            assert lane == f"lane {key}"
    assert make.events == ["take memory 1", "take graph 1", "take memory 64", "take graph 64"]
    lanes.close()
    assert make.events[4:] == ["free graph 64", "free memory 64", "free graph 1", "free memory 1"]
    lanes.close()
    assert len(make.events) == 8
    with pytest.raises(ClosedError, match="this session is closed; open the bundle again"), lanes.using(1, make(1)):
        pass


def test_a_lane_that_fails_gives_back_what_it_took_and_is_tried_again() -> None:
    lanes: Lanes[str] = Lanes()
    make = Maker()
    for _ in range(2):
        with pytest.raises(ValueError, match="broken"), lanes.using("broken", make("broken")):
            pass
    assert make.events == 2 * ["take memory broken", "take graph broken", "free graph broken", "free memory broken"]
    with lanes.using(1, make(1)) as lane:
        assert lane == "lane 1"


@pytest.mark.parametrize("sessions", [1, 2])
def test_one_thread_at_a_time_whatever_the_session(sessions: int) -> None:
    lanes: list[Lanes[str]] = [Lanes() for _ in range(sessions)]
    meeting = threading.Barrier(2)
    alone: list[bool] = []

    def work(lanes: Lanes[str]) -> None:
        with lanes.using(1, lambda _: "lane"):
            try:
                meeting.wait(0.3)
            except threading.BrokenBarrierError:
                alone.append(True)

    threads = [threading.Thread(target=work, args=(lanes[index % sessions],)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert alone == [True, True]  # the other thread never came in meanwhile
