"""What the page tells when the server is not as it should be: away, starting, busy, or guarded by a token."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ganport_runtime import Generator
from ganport_runtime.serving import QueueFullError
from ganport_serve.bundles import LocalEngine
from ganport_serve.metrics import Metrics
from ganport_serve.settings import Settings
from numpy.typing import NDArray
from playwright.sync_api import Page, expect

from tests.serve.page.conftest import Open, pixels
from tests.support.serving import serving_here

pytestmark = pytest.mark.slow

READY = "#tiles:not([aria-busy]) button[aria-label]"


def shows(page: Page, seed: int, generator: Generator) -> None:
    page.locator(f"{READY}[aria-label^='Seed {seed},']").first.wait_for()
    np.testing.assert_array_equal(
        pixels(page.locator("#tiles canvas").nth(5)), generator.sample(1, seed=seed, start=5)[0]
    )


def test_a_server_that_goes_away_is_missed_until_it_is_back(bundle: Path, opened: Open, generator: Generator) -> None:
    with serving_here(bundle) as here, opened(here.url, "/?seed=1", refusals=True) as page:
        shows(page, 1, generator)
        here.server.stop()
        banner, said = page.locator("#banner"), page.locator("#banner-text")
        expect(banner).to_contain_text("The server does not answer. What you see is from before.")
        for seconds in (1, 2):  # it asks again by itself, ever more rarely
            expect(said).to_have_text(f"Trying again in {seconds} s.")
        expect(page.locator("#health-text")).to_have_text("No answer")
        shows(page, 1, generator)
        page.locator("#seed").fill("2")  # wished for while nobody is there
        page.keyboard.press("Enter")
        with serving_here(bundle, port=here.port):
            expect(banner).to_be_hidden()
            shows(page, 2, generator)
        expect(banner).to_be_visible()
        with serving_here(bundle, port=here.port):
            page.locator("#banner-retry").click()
            expect(banner).to_be_hidden()
            expect(page.locator("#health-text")).to_have_text("Ready")


def test_the_token_is_asked_for_and_kept_in_the_tab(bundle: Path, opened: Open, generator: Generator) -> None:
    with serving_here(bundle, token="right") as here, opened(here.url, "/?seed=3", refusals=True) as page:
        expect(page.locator("#token-title")).to_be_visible()
        expect(page.locator("#health-text")).to_have_text("Token wanted")
        page.keyboard.press("Escape")
        expect(page.locator("#token-dialog")).to_be_visible()
        page.locator("#token").fill("wrong")
        page.keyboard.press("Enter")
        expect(page.locator("#token-note")).to_have_text("The server refused this token. Check it and try again.")
        page.locator("#token").fill("right")
        page.keyboard.press("Enter")
        shows(page, 3, generator)
        expect(page.locator("#token-dialog")).to_be_hidden()
        assert "right" not in page.url
        assert page.evaluate("localStorage.length + document.cookie.length") == 0
        page.reload()
        shows(page, 3, generator)
        page.locator("nav a", has_text="API").click()
        page.locator("article").first.wait_for()


class Moody(LocalEngine):
    """Starts when it is told to, and refuses its first request because the queue is full."""

    def __init__(self, path: Path, settings: Settings, metrics: Metrics) -> None:
        super().__init__(path, settings, metrics, threads=1)
        self.may_start = threading.Event()
        self.refused = False

    async def start(self) -> None:
        await asyncio.to_thread(self.may_start.wait)
        await super().start()

    async def sample(self, *args: Any, **keywords: Any) -> NDArray[np.uint8]:
        if not self.refused:
            self.refused = True
            raise QueueFullError("1,024 images wait, which is all that may", retry_after=1.0)
        return await super().sample(*args, **keywords)


def test_a_server_that_starts_and_is_busy_says_so(bundle: Path, opened: Open, generator: Generator) -> None:
    with serving_here(bundle, make_engine=Moody, ready=False) as here:
        assert isinstance(here.engine, Moody)
        try:
            with opened(here.url, "/?seed=6", refusals=True) as page:
                expect(page.locator("#banner-title")).to_contain_text("The server is not ready. The server is starting")
                expect(page.locator("#health-text")).to_have_text("Not ready")
                here.engine.may_start.set()
                expect(page.locator("#banner-title")).to_contain_text("The server is busy. 1,024 images wait")
                expect(page.locator("#banner-text")).to_contain_text("Trying again in")
                shows(page, 6, generator)
                expect(page.locator("#banner")).to_be_hidden()
        finally:
            here.engine.may_start.set()
