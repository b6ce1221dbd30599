"""Use the runtime inside an application: many callers, one engine, requests batched together.

    pip install 'ganport[cpu]'
    python examples/embed_in_an_app.py [BUNDLE]

Needs numpy and one inference engine. `make demo` leaves the bundle that is used where none is named.
"""

import asyncio
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from ganport_runtime import Batcher, Generator
from ganport_runtime.serving import DeadlineError, QueueFullError

USERS, IMAGES = 8, 20


def user(batcher: Batcher, number: int) -> int:
    """A user who asks for one image after another, as a thread of a web application would."""
    made = 0
    for index in range(IMAGES):
        try:
            # Image `index` of seed `number` is the same bytes whoever else asks at the same time.
            images = batcher.submit(1, seed=number, start=index, timeout=5.0).result()
        except QueueFullError as error:
            time.sleep(error.retry_after)
        except DeadlineError:
            print(f"user {number}: image {index} would have come too late")
        else:
            made += len(images)  # uint8 [1, height, width, channels]
    return made


async def on_an_event_loop(batcher: Batcher) -> int:
    """The same from asyncio: answers are awaited, and no thread waits."""
    answers = [batcher.submit(4, seed=seed) for seed in range(USERS)]
    return sum(len(images) for images in await asyncio.gather(*answers))


def main(bundle: str) -> None:
    """Open the bundle once, as the application starts, and close it at the end."""
    with Generator.open(bundle) as generator, Batcher(generator, max_queue=256) as batcher:
        print("plan:", generator.plan)
        with ThreadPoolExecutor(USERS) as pool:
            made = sum(pool.map(lambda number: user(batcher, number), range(USERS)))
        print(f"{made} images for {USERS} threads, then {asyncio.run(on_an_event_loop(batcher))} for an event loop")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "demo/digits.ganport")
