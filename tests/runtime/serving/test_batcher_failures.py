"""How a batcher ends, what it does where something fails, and large requests that become late half done."""

import asyncio
import gc
import subprocess
import sys
import threading
import time
import weakref
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from ganport_runtime import Batcher, ClosedError, Generator, PlanError, latents
from ganport_runtime.serving import BatchReport, DeadlineError, QueueFullError

from tests.runtime.serving.conftest import MARK, SHORT, Held, marked


def test_close_finishes_what_was_accepted(gated: Generator, held: Held) -> None:
    batcher = Batcher(gated, max_queue=1000)
    with held.shut():
        answers = [batcher.submit(100, seed=seed) for seed in range(3)]
        closing = threading.Thread(target=batcher.close)
        held.wait_for_run()
        closing.start()
        while not is_closed(batcher):
            pass
    closing.join(SHORT)
    for seed, answer in enumerate(answers):
        assert np.array_equal(answer.result(0), gated.sample(100, seed=seed))
    batcher.close()
    batcher.close(drain=False)


def is_closed(batcher: Batcher) -> bool:
    try:
        batcher.submit(0)
    except ClosedError as error:
        return "closed; make another one" in str(error)
    return False


def test_close_without_draining_fails_what_waits(gated: Generator, held: Held) -> None:
    before = set(threading.enumerate())
    batcher = Batcher(gated)
    with held.shut():
        running = batcher.submit(1)
        held.wait_for_run()
        waiting = batcher.submit(2)
        closing = threading.Thread(target=batcher.close, kwargs={"drain": False})
        closing.start()
        with pytest.raises(ClosedError, match="closed; make another one"):
            waiting.result(SHORT)
    closing.join(SHORT)
    assert len(running.result(0)) == 1
    with pytest.raises(ClosedError):
        batcher.submit(1)
    assert not [one for one in set(threading.enumerate()) - before if one.name.startswith("ganport-")]


def test_a_failing_batch_fails_its_own_requests_alone(gated: Generator, held: Held) -> None:
    with Batcher(gated, max_queue=1000) as batcher:
        with held.shut():
            first = batcher.submit(1)
            held.wait_for_run()
            bad, mate = batcher.submit_latents(marked()), batcher.submit(63)
            after = batcher.submit(64, seed=8)
        assert len(first.result(SHORT)) == 1
        for answer in (bad, mate):
            with pytest.raises(
                PlanError, match="a batch of 64 images failed: the engine met a marked latent"
            ) as caught:
                answer.result(SHORT)
            assert isinstance(caught.value.__cause__, RuntimeError)
        assert np.array_equal(after.result(SHORT), gated.sample(64, seed=8))
        assert len(batcher.submit(1).result(SHORT)) == 1  # no marked row is left in the padding
        stats = batcher.stats()
    assert (stats.accepted, stats.completed, stats.failed) == (5, 3, 2)


def test_the_rest_of_a_large_request_that_failed_costs_the_engine_nothing(gated: Generator, held: Held) -> None:
    z = latents(1, 0, 5000, 12)
    z[0] = MARK
    with Batcher(gated, max_queue=10_000) as batcher:
        with held.shut():
            batcher.submit(1)
            held.wait_for_run()
            large = batcher.submit_latents(z)
        with pytest.raises(PlanError):
            large.result(SHORT)
        assert len(batcher.submit(1).result(SHORT)) == 1
        assert batcher.stats().queued == 0
    assert len(held.runs) < 40  # of 80 and more; some run before the failure is known


def test_a_generator_closed_before_its_batcher_is_said(bundle: Path) -> None:
    generator = Generator.open(bundle)
    with Batcher(generator) as batcher:
        generator.close()
        with pytest.raises(ClosedError, match="is closed; open the bundle again"):
            batcher.submit(1).result(SHORT)


def test_the_observer_gets_one_report_for_each_batch(gated: Generator, held: Held) -> None:
    reports: list[BatchReport] = []
    with Batcher(gated, observe=reports.append) as batcher:
        calibrated = len(held.runs)
        batcher.submit(1).result(SHORT)
        batcher.submit(64, seed=1).result(SHORT)  # in how many batches is what the measured seconds say
        with pytest.raises(PlanError):
            batcher.submit_latents(marked()).result(SHORT)
    assert [r.bucket for r in reports] == [len(rows) for rows in held.runs[calibrated:]]
    assert [(r.images, r.requests, r.failed) for r in (reports[0], reports[-1])] == [(1, 1, False), (1, 1, True)]
    assert sum(r.images for r in reports[1:-1]) == 64
    assert not any(r.failed for r in reports[:-1])
    assert all(len(r.queue_seconds) == r.requests and min(r.queue_seconds) >= 0 for r in reports)
    assert all(r.engine_seconds > 0 and r.latents_seconds > 0 for r in reports)


def test_an_observer_that_fails_stops_nothing_and_is_said_once(
    one_thread: Generator, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(report: BatchReport) -> None:
        raise ZeroDivisionError("a poor observer")

    with Batcher(one_thread, observe=fail) as batcher:
        for _ in range(3):
            assert len(batcher.submit(1).result(SHORT)) == 1
    assert [record.getMessage() for record in caplog.records] == [
        "the observer of a batcher failed, and gets no further reports"
    ]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_ends_leaves_nobody_waiting_for_what_the_engine_has(gated: Generator, held: Held) -> None:
    def leave(report: BatchReport) -> None:
        held.wait_for_run()  # the second is in the engine
        raise SystemExit("enough")

    with Batcher(gated, observe=leave) as batcher:
        with held.shut():
            first = batcher.submit(1)
            held.wait_for_run()
            second = batcher.submit(1)
        assert len(first.result(SHORT)) == 1
        with pytest.raises(ClosedError, match=r"broke down: SystemExit.*make another one"):
            second.result(SHORT)
        with pytest.raises(ClosedError, match="broke down"):
            batcher.submit(1)
        assert batcher.breakdown == "SystemExit('enough')"


def test_a_batcher_that_is_let_go_of_finishes_and_ends_its_threads(one_thread: Generator) -> None:
    batcher = Batcher(one_thread, max_queue=1000)
    answers = [batcher.submit(50, seed=seed) for seed in range(5)]
    gone, threads = weakref.ref(batcher), batcher._worker.threads
    del batcher
    gc.collect()
    assert gone() is None
    assert [len(answer.result(SHORT)) for answer in answers] == [50] * 5
    for thread in threads:
        thread.join(SHORT)
        assert not thread.is_alive()


@pytest.mark.slow
def test_no_request_leaves_anything_to_the_garbage_collector(gated: Generator, held: Held) -> None:
    """A server may let it look seldom; what requests leave until then is memory that grows."""

    async def main(batcher: Batcher) -> int:
        gc.collect()
        with held.shut():
            running = batcher.submit(1)
            await asyncio.to_thread(held.wait_for_run)
            waiting, cancelled, late = batcher.submit(2), batcher.submit(1), []
            with suppress(DeadlineError):  # now, or below
                late.append(batcher.submit(1, timeout=0.5))
            with suppress(QueueFullError):
                batcher.submit(5)
            with suppress(DeadlineError):
                batcher.submit(1, timeout=0)
            cancelled.cancel()
            for answer in (cancelled, *late):
                with suppress(DeadlineError, asyncio.CancelledError):
                    await answer
        bad = batcher.submit_latents(marked())
        for answer in (running, waiting, bad):
            with suppress(PlanError):
                await answer
        del late, cancelled, waiting, running, bad, answer
        return gc.collect()

    with Batcher(gated, max_queue=5) as batcher:
        gc.disable()
        try:
            first, again = asyncio.run(main(batcher)), asyncio.run(main(batcher))
        finally:
            gc.enable()
    assert min(first, again) == 0


def test_a_callback_of_an_answer_may_close_the_batcher(one_thread: Generator) -> None:
    batcher, closed = Batcher(one_thread), threading.Event()

    def close(_: object) -> None:
        batcher.close()
        closed.set()

    answer = batcher.submit(1)
    answer.add_done_callback(close)
    assert len(answer.result(SHORT)) == 1
    assert closed.wait(SHORT)
    for thread in batcher._worker.threads:
        thread.join(SHORT)
        assert not thread.is_alive()


def test_an_unclosed_batcher_does_not_hold_the_interpreter(bundle: Path) -> None:
    code = (
        "import sys\n"
        "from ganport_runtime import Generator\n"
        "from ganport_runtime.serving import Batcher\n"
        "batcher = Batcher(Generator.open(sys.argv[1], threads=1), max_queue=10**6)\n"
        "first = batcher.submit(3)\n"
        "others = [batcher.submit(1000, seed=seed) for seed in range(900)]\n"
        "print(len(first.result()))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(bundle)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "3\n", "")


def test_a_forked_process_is_told_to_make_its_own(bundle: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from ganport_runtime import ClosedError, Generator\n"
        "from ganport_runtime.serving import Batcher\n"
        "batcher = Batcher(Generator.open(sys.argv[1], threads=1))\n"
        "batcher._worker.queue.lock.acquire()\n"  # as a thread may at that moment
        "child = os.fork()\n"
        "if child == 0:\n"
        "    signal.alarm(20)\n"
        "    try:\n"
        "        batcher.submit(1)\n"
        "    except ClosedError as error:\n"
        "        batcher.close()\n"
        "        print(error, flush=True)\n"
        "    os._exit(0)\n"
        "batcher._worker.queue.lock.release()\n"
        "os.waitpid(child, 0)\n"
        "print(len(batcher.submit(2).result()))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(bundle)], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.stdout == "this batcher was made before the process forked; make one of its own in each process\n2\n"


@pytest.fixture
def batches(generator: Generator) -> float:
    """Seconds that 64 images take."""
    generator.sample(64)
    began = time.monotonic()
    generator.sample(64)
    return time.monotonic() - began


@pytest.mark.parametrize("count", [65, 130, 500, 1000])
def test_large_requests_of_threads_that_become_late(generator: Generator, batches: float, count: int) -> None:
    with Batcher(generator) as batcher:
        answers = []
        for share in (0.5, 1, 1.5, 2, 3, 5, 8):
            with suppress(DeadlineError):
                answers.append(batcher.submit(count, timeout=share * batches))
            with suppress(DeadlineError):
                answers[-1].result(timeout=60)
        assert np.array_equal(batcher.submit(3, seed=1).result(timeout=60), generator.sample(3, seed=1))
        assert batcher.stats().queued == 0


def test_large_requests_of_event_loops_that_become_late(generator: Generator, batches: float) -> None:
    async def main(batcher: Batcher) -> None:
        for share in (0.5, 1, 1.5, 2, 3, 5, 8):
            with suppress(DeadlineError):
                await asyncio.wait_for(batcher.submit(1000, timeout=share * batches), 60)

    with Batcher(generator) as batcher:
        asyncio.run(main(batcher))
        assert np.array_equal(batcher.submit(3, seed=1).result(timeout=60), generator.sample(3, seed=1))
        assert batcher.stats().queued == 0
