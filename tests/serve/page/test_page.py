"""The page at `/` in a real browser: it shows the generator's own images, from the keyboard too."""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from ganport_runtime import Generator
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Download, Page, expect

from tests.serve.page.conftest import Open, pixels
from tests.support.serving import Here, serving_here

pytestmark = pytest.mark.slow

SHOWN = "#tiles:not([aria-busy]) button[aria-label='Seed {seed}, image 0']"


@pytest.fixture(scope="module")
def here(bundle: Path) -> Iterator[Here]:
    with serving_here(bundle, max_count=64, max_queue=512) as found:
        yield found


def image_of(download: Download) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(Path(download.path()).read_bytes())) as image:
        return np.asarray(image)


def wait_for_gallery(page: Page, seed: int) -> None:
    page.locator(SHOWN.format(seed=seed)).wait_for()


def test_the_gallery_shows_the_images_of_its_seed(here: Here, opened: Open, generator: Generator) -> None:
    with opened(here.url, "/?seed=7&count=12") as page:
        wait_for_gallery(page, 7)
        shown = [pixels(canvas) for canvas in page.locator("#tiles canvas").all()]
        np.testing.assert_array_equal(shown, generator.sample(12, seed=7))
        expect(page.locator("#health-text")).to_have_text("Ready")
        expect(page.locator("#bundle-name")).to_have_text(httpx.get(f"{here.url}/v1/status").json()["bundle"]["name"])


def test_another_seed_is_typed(here: Here, opened: Open, generator: Generator) -> None:
    with opened(here.url) as page:
        wait_for_gallery(page, 0)
        page.locator("#seed").fill("18446744073709551615")
        page.keyboard.press("Enter")
        wait_for_gallery(page, 2**64 - 1)
        shown = pixels(page.locator("#tiles canvas").nth(3))
        np.testing.assert_array_equal(shown, generator.sample(1, seed=2**64 - 1, start=3)[0])
        assert "seed=18446744073709551615" in page.url
        page.locator("#seed").fill("seven")
        page.keyboard.press("Enter")
        expect(page.locator("#gallery-note")).to_have_text("seven is no whole number from 0 to 2^64 - 1.")
        expect(page.locator("#seed")).to_have_attribute("aria-invalid", "true")
        page.go_back()
        wait_for_gallery(page, 0)


def test_an_image_is_picked_and_downloaded_from_the_keyboard(here: Here, opened: Open, generator: Generator) -> None:
    with opened(here.url, "/?seed=4") as page:
        wait_for_gallery(page, 4)
        page.locator("#tiles button").first.focus()
        for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft"):
            page.keyboard.press(key)
        title = page.locator("#picked-title").inner_text()
        index = int(title.removeprefix("Seed 4 · image "))
        assert index > 2, "the arrow down goes to another row"
        assert page.locator("#tiles button[aria-pressed=true]").all_inner_texts() == [""]
        np.testing.assert_array_equal(pixels(page.locator("#picked")), generator.sample(1, seed=4, start=index)[0])
        page.keyboard.press("Tab")
        expect(page.locator("#download")).to_be_focused()
        with page.expect_download() as caught:
            page.keyboard.press("Enter")
        assert caught.value.suggested_filename == f"seed-4-image-{index}.png"
        np.testing.assert_array_equal(image_of(caught.value), generator.sample(1, seed=4, start=index)[0])


def test_the_walk_follows_its_slider(here: Here, opened: Open, generator: Generator) -> None:
    walk = np.load(io.BytesIO(httpx.get(f"{here.url}/v1/walk?from=3&to=5&steps=64&format=npy").content))
    with opened(here.url, "/?from=3.0&to=5.0") as page:
        page.locator("#position:enabled").focus()
        stage = page.locator("#stage")
        np.testing.assert_array_equal(pixels(stage), generator.sample(1, seed=3)[0])
        for _ in range(3):
            page.keyboard.press("ArrowRight")
        np.testing.assert_array_equal(pixels(stage), walk[3])
        page.locator("#walk-download").focus()
        expect(page.locator("#step")).to_have_text("Step 4 of 64")
        with page.expect_download() as caught:
            page.keyboard.press("Enter")
        np.testing.assert_array_equal(image_of(caught.value), walk[3])
        page.locator("#position").press("End")
        np.testing.assert_array_equal(pixels(stage), generator.sample(1, seed=5)[0])


def test_playing_moves_the_walk_until_it_is_stopped(here: Here, opened: Open) -> None:
    with opened(here.url) as page:
        play = page.locator("#play:enabled")
        play.press("Space")
        expect(page.locator("#play")).to_have_text("Stop")
        expect(page.locator("#step")).not_to_have_text(re.compile(r"Step [123] of 64"))
        play.press("Space")
        expect(page.locator("#play")).to_have_text("Play")
        position = page.locator("#position").input_value()
        assert f"step={position}" in page.url


def test_a_link_shows_the_same(here: Here, opened: Open, generator: Generator) -> None:
    link = "/?seed=9&count=12&image=40&from=1.2&to=6.0&step=63"
    with opened(here.url, link) as page:
        expect(page.locator("#picked-title")).to_have_text("Seed 9 · image 40")
        np.testing.assert_array_equal(pixels(page.locator("#picked")), generator.sample(1, seed=9, start=40)[0])
        page.locator("#position:enabled").wait_for()
        np.testing.assert_array_equal(pixels(page.locator("#stage")), generator.sample(1, seed=6)[0])
        np.testing.assert_array_equal(pixels(page.locator("#walk-first")), generator.sample(1, seed=1, start=2)[0])
        page.locator("#walk-from").click()
        page.wait_for_url("**from=9.40**")


def test_a_server_that_makes_fewer_at_once_is_asked_for_fewer(here: Here, opened: Open) -> None:
    with opened(here.url, "/?count=96") as page:
        wait_for_gallery(page, 0)
        assert page.locator("#tiles button").count() == 64
        expect(page.locator("#gallery-note")).to_have_text("This server makes 64 images of this size at once.")


def test_figures_are_live(here: Here, opened: Open) -> None:
    with opened(here.url) as page:
        wait_for_gallery(page, 0)
        expect(page.locator("#figure-p50")).to_contain_text("ms")
        before = httpx.get(f"{here.url}/v1/status").json()["images"]
        httpx.get(f"{here.url}/v1/images?count=50&format=npy")
        expect(page.locator("#figure-images")).to_have_text(f"{before + 50:,}")


def test_the_page_of_the_api_shows_every_operation(here: Here, opened: Open) -> None:
    document: dict[str, Any] = httpx.get(f"{here.url}/openapi.json").json()
    names = [one["operationId"] for path in document["paths"].values() for one in path.values()]
    with opened(here.url, "/docs") as page:
        page.locator("article").first.wait_for()
        assert sorted(page.locator("article").evaluate_all("all => all.map(one => one.id)")) == sorted(names)
        expect(page.locator("#images .curl")).to_have_text(f"curl -OJ '{here.url}/v1/images?seed=7'")
        with page.expect_download() as caught:
            page.locator("#document").click()
        assert caught.value.suggested_filename == "openapi.json"


@pytest.mark.parametrize("path", ["/", "/docs", "/static/main.js", "/static/app.css", "/static/icon.svg"])
def test_files_carry_a_strict_policy_and_are_sent_once(here: Here, path: str) -> None:
    answer = httpx.get(here.url + path)
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    again = httpx.get(here.url + path, headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert httpx.head(here.url + path).headers["etag"] == answer.headers["etag"]


@pytest.mark.parametrize("name", ["none.js", "..%2f__init__.py", "%2e%2e/__init__.py"])
def test_nothing_else_is_a_file(here: Here, name: str) -> None:
    with httpx.Client(base_url=here.url) as client:
        assert client.get(f"/static/{name}").status_code == 404
