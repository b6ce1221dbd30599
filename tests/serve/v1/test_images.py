"""`/v1/images`: the generator's own images in every format, and what a cache is told of them."""

import io
import math
import zipfile

import httpx
import numpy as np
import pytest
from ganport_runtime import Generator
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from tests.serve.v1.conftest import MAX_COUNT

LAST = 2**64 - 1


def picture(content: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image)


def array(content: bytes) -> NDArray[np.uint8]:
    found: NDArray[np.uint8] = np.load(io.BytesIO(content), allow_pickle=False)
    return found


def cells(sheet: NDArray[np.uint8], count: int, size: int = 8) -> NDArray[np.uint8]:
    """The images of a picture, row by row, in as many columns as make it nearly square."""
    columns = math.ceil(math.sqrt(count))
    assert sheet.shape == (math.ceil(count / columns) * size, columns * size, 3)
    places = [divmod(index, columns) for index in range(count)]
    return np.stack([sheet[y * size : (y + 1) * size, x * size : (x + 1) * size] for y, x in places])


def made(client: httpx.Client) -> int:
    """Images that the engine has made so far."""
    count: int = client.get("/v1/status").json()["images"]
    return count


@pytest.mark.parametrize(("name", "media_type"), [("png", "image/png"), ("webp", "image/webp")])
@pytest.mark.parametrize("count", [1, 5, 16, MAX_COUNT])
def test_a_picture_holds_all_images(
    client: httpx.Client, generator: Generator, name: str, media_type: str, count: int
) -> None:
    answer = client.get("/v1/images", params=httpx.QueryParams(seed=7, count=count, start=3, format=name))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == media_type
    images = cells(picture(answer.content), count)
    np.testing.assert_array_equal(images, generator.sample(count, seed=7, start=3))


def test_a_zip_holds_a_png_for_each_image(client: httpx.Client, generator: Generator) -> None:
    answer = client.get("/v1/images?seed=2&start=9&count=3&format=zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == ["00000009.png", "00000010.png", "00000011.png"]
        images = np.stack([picture(archive.read(name)) for name in archive.namelist()])
    np.testing.assert_array_equal(images, generator.sample(3, seed=2, start=9))
    assert answer.headers["content-disposition"] == 'attachment; filename="seed-2-images-9-to-11.zip"'


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, LAST), start=st.integers(0, LAST - MAX_COUNT) | st.just(0), count=st.integers(1, MAX_COUNT))
def test_npy_is_what_the_generator_gives(
    client: httpx.Client, generator: Generator, seed: int, start: int, count: int
) -> None:
    answer = client.get(f"/v1/images?seed={seed}&start={start}&count={count}&format=npy")
    np.testing.assert_array_equal(array(answer.content), generator.sample(count, seed=seed, start=start))


def test_without_a_query_it_is_the_first_images_of_seed_0(client: httpx.Client, generator: Generator) -> None:
    np.testing.assert_array_equal(cells(picture(client.get("/v1/images").content), 16), generator.sample(16, seed=0))


@pytest.mark.parametrize("name", ["png", "webp", "npy"])
def test_one_image_has_an_address_of_its_own(client: httpx.Client, generator: Generator, name: str) -> None:
    answer = client.get(f"/v1/images/7.{name}?index=4")
    image = array(answer.content)[0] if name == "npy" else picture(answer.content)
    np.testing.assert_array_equal(image, generator.sample(1, seed=7, start=4)[0])
    assert f'filename="seed-7-image-4.{name}"' in answer.headers["content-disposition"]


def test_the_last_image_of_the_last_seed(client: httpx.Client, generator: Generator) -> None:
    answer = client.get(f"/v1/images/{LAST}.npy?index={LAST}")
    np.testing.assert_array_equal(array(answer.content), generator.sample(1, seed=LAST, start=LAST))


@pytest.mark.parametrize("path", ["/v1/images?seed=31", "/v1/images/31.webp", "/v1/walk?from=3&to=1&format=zip"])
def test_what_a_client_has_costs_the_engine_nothing(client: httpx.Client, path: str) -> None:
    first = client.get(path)
    assert first.headers["cache-control"] == "public, max-age=0, must-revalidate"
    etag, before = first.headers["etag"], made(client)
    for given_tags in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        again = client.get(path, headers={"if-none-match": given_tags})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    head = client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("etag", "content-type", "content-disposition", "cache-control"):
        assert head.headers[name] == first.headers[name]
    assert made(client) == before
    other = client.get(path, headers={"if-none-match": '"other"'})
    assert (other.status_code, other.content) == (200, first.content)
    assert made(client) > before


def test_each_question_has_an_etag_of_its_own(client: httpx.Client) -> None:
    queries = ("", "?seed=1", "?count=2", "?start=1", "?format=webp", "?format=npy")
    tags = [client.head(f"/v1/images{query}").headers["etag"] for query in queries]
    assert len(set(tags)) == len(tags)
    assert client.head("/v1/images?seed=0&count=16&start=0&format=png").headers["etag"] == tags[0]


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("/v1/images?count=0", 400, "count"),
        ("/v1/images?count=1000000000", 400, "count"),
        (f"/v1/images?count={MAX_COUNT + 1}", 400, "count"),
        ("/v1/images?count=-1", 400, "count"),
        ("/v1/images?count=", 400, "count"),
        ("/v1/images?count=4.0", 400, "count"),
        ("/v1/images?seed=18446744073709551616", 400, "seed"),
        ("/v1/images?seed=%D9%A3", 400, "seed"),  # a digit, but not one of ours
        ("/v1/images?seed=1&seed=2", 400, "seed"),
        (f"/v1/images?start={LAST}&count=2", 400, "start"),
        ("/v1/images?format=gif", 400, "format"),
        ("/v1/images?cuont=4", 400, "cuont"),
        ("/v1/images/x.png", 400, "seed"),
        ("/v1/images/7.png?count=2", 400, "count"),
        ("/v1/images/7.png?index=-1", 400, "index"),
        ("/v1/images/7.gif", 404, None),
        ("/v1/images/7", 404, None),
    ],
)
def test_a_wrong_question_is_refused_with_its_field(
    client: httpx.Client, path: str, status: int, field: str | None
) -> None:
    before = made(client)
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem.get("field") == field
    assert "wanted" in problem["detail"] or "known" in problem["detail"] or field in ("seed", "start")
    assert made(client) == before
