"""A real headless Chromium, and pages that must neither complain nor speak with anybody but their server."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, sync_playwright

from tests.support.bundles import make_bundle, make_weights

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 20_000  # milliseconds
# what the browser itself writes of an answer that is no success, or of none
REFUSED = "Failed to load resource"


@dataclass
class Watched:
    """A page, with everything in it that must not be."""

    page: Page  # in a context of its own
    origin: str  # of the server that it may speak with
    complaints: list[str] = field(default_factory=list)  # errors and warnings of scripts, and of the browser
    refusals: list[str] = field(default_factory=list)  # what the browser writes of answers that are no success
    foreign: list[str] = field(default_factory=list)  # addresses of others

    def watch(self) -> None:
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._asked)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.text.startswith(REFUSED):
            self.refusals.append(message.text)
        elif message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((f"{self.origin}/", f"blob:{self.origin}/")):
            self.foreign.append(request.url)


Open = Callable[..., Any]


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("page") / "tiny.ganport", make_weights(latent_dim=6))


@pytest.fixture(scope="module")  # while it is open, no test can run an event loop of its own
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no chromium on the path, so the page cannot be opened in a browser")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()


@pytest.fixture
def opened(browser: Browser) -> Callable[..., Any]:
    """Opens a page, and sees at its end that it was a good one."""

    @contextmanager
    def open_page(origin: str, path: str = "/", *, refusals: bool = False) -> Iterator[Page]:
        context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
        context.set_default_timeout(PATIENCE)
        try:
            watched = Watched(context.new_page(), origin)
            watched.watch()
            watched.page.goto(origin + path)
            yield watched.page
            assert watched.complaints == []
            assert watched.foreign == []
            assert refusals or watched.refusals == []
        finally:
            context.close()

    return open_page


def pixels(canvas: Locator) -> Any:
    """What a canvas shows, as [height, width, 3] in nested lists."""
    return canvas.evaluate(
        """canvas => {
          const { width, height } = canvas;
          const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
          copy.drawImage(canvas, 0, 0);
          const { data } = copy.getImageData(0, 0, width, height);
          const at = (y, x) => [...data.slice((y * width + x) * 4, (y * width + x) * 4 + 3)];
          return [...Array(height).keys()].map(y => [...Array(width).keys()].map(x => at(y, x)));
        }"""
    )
