"""The batcher: right images whatever the batch mates, batches by images, a bounded queue, deadlines, cancelling."""

import asyncio
import random
import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from typing import Any

import numpy as np
import pytest
from ganport_runtime import Discriminator, Generator, InputError, PlanError, latents
from ganport_runtime.batches import BUCKETS
from ganport_runtime.opening import Running
from ganport_runtime.serving import Answer, Batcher, BatchReport, DeadlineError, QueueFullError, Scorer
from ganport_runtime.serving.policy import Speeds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.runtime.serving.conftest import SHORT, Held

Images = NDArray[np.uint8]


@given(seed=st.integers(0, 2**32))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_images_depend_on_seed_and_index_alone(one_thread: Generator, seed: int) -> None:
    """Threads and tasks ask at random for counts from 0 to more than two top buckets, with seeds or latents."""
    rng = random.Random(seed)
    jobs = [
        (rng.choice([0, 1, 1, 1, 2, 3, 9, 40, 64, 65, 150]), rng.getrandbits(64), rng.getrandbits(40))
        for _ in range(40)
    ]

    def ask(batcher: Batcher, job: tuple[int, int, int]) -> Answer[Images]:
        count, key, start = job
        if key % 3 == 0:
            return batcher.submit_latents(latents(key, start, count, 12))
        return batcher.submit(count, seed=key, start=start)

    async def some(batcher: Batcher, jobs: list[tuple[int, int, int]]) -> list[Images]:
        async def one(job: tuple[int, int, int]) -> Images:
            return await ask(batcher, job)

        return list(await asyncio.gather(*(one(job) for job in jobs)))

    with Batcher(one_thread, max_queue=10_000) as batcher, ThreadPoolExecutor(6) as pool:
        loops = [pool.submit(asyncio.run, some(batcher, part)) for part in (jobs[:10], jobs[10:20])]
        threads = [pool.submit(lambda job: ask(batcher, job).result(SHORT), job) for job in jobs[20:]]
        made = [images for loop in loops for images in loop.result(SHORT)] + [one.result(SHORT) for one in threads]
    for (count, key, start), images in zip(jobs, made, strict=True):
        assert images.flags.c_contiguous
        assert images.flags.writeable
        assert np.array_equal(images, one_thread.sample(count, seed=key, start=start))


def test_what_waits_is_merged_and_what_is_large_takes_turns(gated: Generator, held: Held) -> None:
    done: list[str] = []
    with Batcher(gated, max_queue=1000) as batcher:
        with held.shut():
            first = batcher.submit(1)
            held.wait_for_run()
            large = batcher.submit(187, seed=1)
            small = [batcher.submit(1, seed=2, start=index) for index in range(5)]
            large.add_done_callback(lambda _: done.append("large"))
            for answer in small:
                answer.add_done_callback(lambda _: done.append("small"))
        wait_for([first, large, *small], SHORT)
    assert done == ["small"] * 5 + ["large"]
    assert [len(rows) for rows in held.runs] == [1, 64, 64, 64]  # 192 images wait, whoever asked for them
    assert np.array_equal(large.result(), gated.sample(187, seed=1))
    for index, answer in enumerate(small):
        assert np.array_equal(answer.result(), gated.sample(1, seed=2, start=index))


def test_a_batch_is_padded_to_its_bucket_with_zeros(one_thread: Generator) -> None:
    class Slow(Held):
        """Takes as long for any batch, so that no batch is split."""

        def run(self, outputs: Any, inputs: Any) -> list[NDArray[Any]]:
            time.sleep(0.005)
            return super().run(outputs, inputs)

    engine: Any = Slow(one_thread._opened()[64].session)
    running: dict[int, Any] = {bucket: Running(plan, engine) for bucket, plan in one_thread.plans.items()}
    reports: list[BatchReport] = []
    with Batcher(Generator(one_thread.bundle, running), observe=reports.append) as batcher:
        engine.runs.clear()
        for index in range(6):
            batcher.submit(64, seed=index).result(SHORT)
            batcher.submit(3 + 8 * index, seed=index).result(SHORT)
    assert len(reports) == len(engine.runs)
    assert any(report.images < report.bucket for report in reports)
    for report, rows in zip(reports, engine.runs, strict=True):
        assert len(rows) == report.bucket
        assert rows[: report.images].any(axis=1).all()
        assert not rows[report.images :].any()


def test_an_idle_engine_runs_at_once_whatever_the_delay(one_thread: Generator) -> None:
    with Batcher(one_thread, max_delay=3600.0) as batcher:
        for index in range(30):
            assert len(batcher.submit(1, start=index).result(SHORT)) == 1


def test_the_queue_is_bounded_and_says_when_to_ask_again(gated: Generator, held: Held) -> None:
    with Batcher(gated, max_queue=10) as batcher:
        with pytest.raises(InputError, match="11 images are more than the queue may hold, 10"):
            batcher.submit(11)
        with held.shut():
            running = batcher.submit(4)
            held.wait_for_run()
            waiting = [batcher.submit(5), batcher.submit(5)]
            with pytest.raises(QueueFullError, match="10 images wait, of 10 at most; ask again in") as caught:
                batcher.submit(1)
            assert 0 < caught.value.retry_after < SHORT
            assert waiting[0].cancel()  # and gives its room back at once
            assert batcher.stats().queued == 5
            waiting.append(batcher.submit(5))
        assert [len(answer.result(SHORT)) for answer in (running, *waiting[1:])] == [4, 5, 5]
        assert batcher.stats().refused == {"queue_full": 1, "deadline": 0, "closed": 0}


def test_a_full_queue_is_said_without_asking(gated: Generator, held: Held) -> None:
    with Batcher(gated, max_queue=2) as batcher:
        assert batcher.refusal() is None
        with held.shut():
            running = batcher.submit(1)
            held.wait_for_run()
            waiting = batcher.submit(2)
            first = batcher.refusal()
            assert isinstance(first, QueueFullError)
            assert waiting.cancel()
            assert batcher.refusal() is None
        assert len(running.result(SHORT)) == 1
        assert batcher.stats().refused["queue_full"] == 1


def test_a_deadline_that_passes_while_waiting_costs_the_engine_nothing(gated: Generator, held: Held) -> None:
    with Batcher(gated) as batcher:
        with held.shut():
            running = batcher.submit(1)
            held.wait_for_run()
            late, kept = batcher.submit(2, seed=5, timeout=0.05), batcher.submit(2, seed=6, timeout=SHORT)
            with pytest.raises(DeadlineError, match=r"2 images would come later than the 0\.050 seconds"):
                late.result(SHORT)  # while the engine is still held
            assert batcher.stats().queued == 2
        running.result(SHORT)
        assert np.array_equal(kept.result(SHORT), gated.sample(2, seed=6))
        assert batcher.stats().refused["deadline"] == 1
    assert not any(np.array_equal(rows[0], latents(5, 0, 1, 12)[0]) for rows in held.runs)


def test_what_cannot_be_in_time_is_refused_at_once(gated: Generator, held: Held) -> None:
    with Batcher(gated, max_queue=10**9) as batcher:
        with pytest.raises(DeadlineError):
            batcher.submit(1, timeout=0)
        with held.shut():
            running = batcher.submit(1)
            held.wait_for_run()
            with pytest.raises(DeadlineError, match="allow more, or ask for fewer"):
                batcher.submit(10**8, timeout=0.5)
        running.result(SHORT)
        assert len(batcher.submit(1, timeout=SHORT).result(SHORT)) == 1


@pytest.mark.parametrize("timeout", [float("nan"), "1", True])
def test_a_timeout_that_is_no_number_is_named(one_thread: Generator, timeout: Any) -> None:
    with Batcher(one_thread) as batcher, pytest.raises(InputError, match=r"timeout is .*, wanted a number of seconds"):
        batcher.submit(1, timeout=timeout)


def test_cancelling_takes_a_request_out_of_the_queue(gated: Generator, held: Held) -> None:
    with Batcher(gated) as batcher:
        with held.shut():
            running = batcher.submit(1)
            held.wait_for_run()
            waiting = batcher.submit(3, seed=9)
            assert waiting.cancel()
            assert waiting.cancelled()
            assert waiting.cancel()
            assert not running.cancel()  # the engine has it
            assert batcher.stats().queued == 0
            with pytest.raises(CancelledError):
                waiting.result(0)
        assert len(running.result(SHORT)) == 1
        assert not running.cancel()
        assert batcher.stats().cancelled == 1
    assert len(held.runs) == 1


def test_cancelling_the_rest_of_a_large_request_frees_the_engine(gated: Generator, held: Held) -> None:
    with Batcher(gated, max_queue=10_000) as batcher:
        with held.shut():
            large = batcher.submit(6400)
            held.wait_for_run()
            assert large.cancel()
            small = batcher.submit(1, seed=4)
        assert np.array_equal(small.result(SHORT), gated.sample(1, seed=4))
    assert len(held.runs) == 2 + 1  # and the sample above


def test_cancelling_a_task_cancels_its_request_unless_others_await_it(gated: Generator, held: Held) -> None:
    async def wait(answer: Answer[Images]) -> Images:
        return await answer

    async def main(batcher: Batcher) -> None:
        with held.shut():
            running = batcher.submit(1)
            await asyncio.to_thread(held.wait_for_run)
            alone, shared = batcher.submit(1), batcher.submit(2)
            tasks = [asyncio.create_task(wait(answer)) for answer in (alone, shared, shared)]
            await asyncio.sleep(0)
            tasks[0].cancel()
            tasks[1].cancel()
            await asyncio.wait(tasks[:2])
            assert alone.cancelled()
            assert not shared.cancelled()
            assert batcher.stats().queued == 2
            by_thread = batcher.submit(1)
            awaiting = asyncio.create_task(wait(by_thread))
            await asyncio.sleep(0)
            assert await asyncio.to_thread(by_thread.cancel)
            with pytest.raises(asyncio.CancelledError):
                await awaiting
        assert len(await tasks[2]) == 2
        assert len(await running) == 1

    with Batcher(gated) as batcher:
        asyncio.run(main(batcher))


def test_many_tasks_are_woken_once_for_each_batch(gated: Generator, held: Held) -> None:
    async def main(batcher: Batcher) -> int:
        loop = asyncio.get_running_loop()
        wakes, original = [], loop.call_soon_threadsafe

        def counted(*arguments: Any, **named: Any) -> Any:
            wakes.append(threading.current_thread().name)
            return original(*arguments, **named)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "call_soon_threadsafe", counted)
            with held.shut():
                first = batcher.submit(1)
                held.wait_for_run()
                answers = [batcher.submit(1, start=index) for index in range(64)]
                waiting = asyncio.gather(*answers)
                await asyncio.sleep(0)
            await asyncio.gather(waiting, first)
        return sum(name.startswith("ganport") for name in wakes)

    with Batcher(gated) as batcher:
        assert asyncio.run(main(batcher)) <= len(held.runs)
    assert len(held.runs) < 10  # of 65 requests; how many runs pay is what the measured seconds say


def test_a_bucket_that_makes_other_bytes_is_left_out(one_thread: Generator) -> None:
    running: dict[int, Any] = dict(one_thread._opened())

    class Off(Held):
        def run(self, outputs: Any, inputs: Any) -> list[NDArray[Any]]:
            (images,) = self.session.run(outputs, inputs)
            return [images ^ np.uint8(1)]

    class Broken(Held):
        def run(self, outputs: Any, inputs: Any) -> list[NDArray[Any]]:
            raise PlanError("no such profile")

    running[2] = type(running[2])(running[2].plan, Off(running[2].session))
    running[8] = type(running[8])(running[8].plan, Broken(running[8].session))
    with Batcher(Generator(one_thread.bundle, running)) as batcher:
        assert batcher.buckets == (1, 4, 16, 32, 64)
        assert batcher.note == (
            "not used: bucket 8, because it fails (no such profile); "
            "bucket 2, because its outputs differ from those of bucket 64 for the same rows"
        )
        for count in (2, 7, 70):
            assert np.array_equal(batcher.submit(count, seed=2).result(SHORT), one_thread.sample(count, seed=2))


def test_a_small_part_of_a_batch_does_not_keep_all_of_it(gated: Generator, held: Held) -> None:
    with Batcher(gated) as batcher:
        batcher._worker.queue.speeds = Speeds(dict.fromkeys(BUCKETS, 0.005))  # so that all that waits is one batch
        with held.shut():
            batcher.submit(1)
            held.wait_for_run()
            small, large = batcher.submit(8), batcher.submit(56)
        assert small.result(SHORT).base is None
        assert large.result(SHORT).base is not None


def test_rows_may_be_changed_once_they_are_submitted(gated: Generator, held: Held) -> None:
    z = latents(1, 0, 3, 12)
    with Batcher(gated) as batcher:
        with held.shut():
            batcher.submit(1)
            held.wait_for_run()
            answer = batcher.submit_latents(z)
            z[:] = 0
        assert np.array_equal(answer.result(SHORT), gated.sample(3, seed=1))


def test_scores_and_features_come_of_one_run(discriminator: Discriminator, generator: Generator) -> None:
    images = generator.sample(150)
    with Scorer(discriminator) as scorer:
        answers = [scorer.submit(images[:1]), scorer.submit(images[1:150]), scorer.submit(images[:0])]
        made = [answer.result(SHORT) for answer in answers]
    logits, features = discriminator.examine(images)
    assert np.allclose(np.concatenate([scores.logits for scores in made]), logits, rtol=1e-5)
    assert np.allclose(np.concatenate([scores.features for scores in made]), features, rtol=1e-5, atol=1e-5)
    assert np.allclose(logits, discriminator.score(images), rtol=1e-5)
    assert np.allclose(features, discriminator.embed(images), rtol=1e-5, atol=1e-5)
    with Scorer(discriminator) as scorer, pytest.raises(InputError, match="images is uint8"):
        scorer.submit(images[:, :3])


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"max_delay": -1}, "max_delay is -1, wanted a number of seconds, 0 to 3600"),
        ({"max_delay": float("nan")}, "max_delay is nan"),
        ({"max_queue": 0}, "max_queue is 0, wanted 1 to"),
    ],
)
def test_bad_settings_are_named(one_thread: Generator, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Batcher(one_thread, **asked)
