"""`/v1/scores` and `/v1/features`: the discriminator's own numbers, whatever form the images come in."""

import base64
import io
import json

import httpx
import numpy as np
import pytest
from ganport_runtime import Discriminator, Generator
from numpy.typing import NDArray
from PIL import Image

from tests.serve.v1.conftest import MAX_BODY, MAX_COUNT

NPY = "application/x-npy"
JSON = "application/json"
Images = NDArray[np.uint8]


def file(image: Images, kind: str = "PNG", **options: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image).save(out, kind, **options)
    return out.getvalue()


def npy(array: NDArray[np.generic]) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def form(*files: bytes) -> tuple[bytes, str]:
    """A form as browsers and curl send it."""
    request = httpx.Request("POST", "http://x", files=[("image", ("a.png", one, "image/png")) for one in files])
    return request.read(), request.headers["content-type"]


def as_json(*files: bytes) -> bytes:
    return json.dumps({"images": [base64.b64encode(one).decode() for one in files]}).encode()


@pytest.fixture(scope="module")
def images(generator: Generator) -> Images:
    return generator.sample(3, seed=11)


def bodies(images: Images) -> dict[str, tuple[bytes, str]]:
    files = [file(image) for image in images]
    return {
        "form": form(*files),
        "npy": (npy(images), NPY),
        "npy by columns": (npy(np.asfortranarray(images)), NPY),
        "json": (as_json(*files), JSON),
        "webp in json": (as_json(*(file(image, "WEBP", lossless=1) for image in images)), f"{JSON}; charset=utf-8"),
    }


@pytest.mark.parametrize("kind", ["form", "npy", "npy by columns", "json", "webp in json"])
def test_every_body_gives_what_the_discriminator_gives(
    client: httpx.Client, discriminator: Discriminator, images: Images, kind: str
) -> None:
    body, content_type = bodies(images)[kind]
    headers = {"content-type": content_type}
    scores = client.post("/v1/scores", content=body, headers=headers)
    assert scores.status_code == 200, scores.text
    assert scores.json()["count"] == 3
    np.testing.assert_allclose(scores.json()["scores"], discriminator.score(images), rtol=1e-5, atol=1e-5)
    features = client.post("/v1/features", content=body, headers=headers)
    np.testing.assert_allclose(features.json()["features"], discriminator.embed(images), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("kind", "media_type"), [("PNG", "image/png"), ("WEBP", "image/webp"), ("JPEG", "image/jpeg")])
def test_one_file_alone_is_a_body(
    client: httpx.Client, discriminator: Discriminator, images: Images, kind: str, media_type: str
) -> None:
    content = file(images[0], kind)
    with Image.open(io.BytesIO(content)) as decoded:
        seen = np.asarray(decoded.convert("RGB"))[None]
    answer = client.post("/v1/scores", content=content, headers={"content-type": media_type})
    np.testing.assert_allclose(answer.json()["scores"], discriminator.score(seen), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("query", "accept"), [("?format=npy", "*/*"), ("", NPY)])
def test_numbers_come_as_npy_where_asked_for(
    client: httpx.Client, discriminator: Discriminator, images: Images, query: str, accept: str
) -> None:
    headers = {"content-type": NPY, "accept": accept}
    answer = client.post(f"/v1/features{query}", content=npy(images), headers=headers)
    assert answer.headers["content-type"] == NPY
    found = np.load(io.BytesIO(answer.content), allow_pickle=False)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, discriminator.embed(images), rtol=1e-5, atol=1e-5)


def test_other_sizes_are_cut_and_shrunk_where_asked_for(client: httpx.Client, discriminator: Discriminator) -> None:
    wide = np.full((10, 30, 3), (0, 0, 255), np.uint8)
    wide[:, 7:23] = (200, 30, 40)  # the centered square, and what antialiasing sees of its surroundings
    answer = client.post("/v1/scores?resize=true", content=file(wide), headers={"content-type": "image/png"})
    seen = np.full((1, 8, 8, 3), (200, 30, 40), np.uint8)
    np.testing.assert_allclose(answer.json()["scores"], discriminator.score(seen), rtol=1e-5, atol=1e-5)


def test_what_is_transparent_lies_on_white(client: httpx.Client, discriminator: Discriminator) -> None:
    answer = client.post(
        "/v1/scores", content=file(np.zeros((8, 8, 4), np.uint8)), headers={"content-type": "image/png"}
    )
    seen = np.full((1, 8, 8, 3), 255, np.uint8)
    np.testing.assert_allclose(answer.json()["scores"], discriminator.score(seen), rtol=1e-5, atol=1e-5)


def _bomb(side: int) -> bytes:
    """A few hundred bytes that unpack to a picture of many pixels."""
    out = io.BytesIO()
    Image.new("1", (side, side)).save(out, "PNG", optimize=True)
    return out.getvalue()


def _animated() -> bytes:
    out = io.BytesIO()
    first, second = (Image.new("RGB", (8, 8), color) for color in ("red", "blue"))
    first.save(out, "WEBP", save_all=True, append_images=[second], lossless=True)
    return out.getvalue()


SQUARE = np.zeros((8, 8, 3), np.uint8)
NOISE = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
PNG = "image/png"
WRONG: dict[str, tuple[bytes, str, int, str]] = {
    "other size": (file(np.zeros((9, 8, 3), np.uint8)), PNG, 400, "body"),
    "bomb": (_bomb(12_000), PNG, 400, "body"),
    "too many pixels": (_bomb(5_000), PNG, 400, "body"),
    "cut short": (file(NOISE)[:100], PNG, 400, "body"),
    "text": (b"no picture", PNG, 400, "body"),
    "gif": (file(SQUARE[..., 0], "GIF"), PNG, 400, "body"),
    "animated": (_animated(), "image/webp", 400, "body"),
    "nothing": (b"", PNG, 400, "body"),
    "unknown kind": (b"x", "text/csv", 415, "content-type"),
    "no kind": (b"x", "", 415, "content-type"),
    "npy of floats": (npy(SQUARE[None].astype(np.float32)), NPY, 400, "body"),
    "npy of one": (npy(SQUARE), NPY, 400, "body"),
    "npy of none": (npy(SQUARE[None][:0]), NPY, 400, "body"),
    "npy of too many": (npy(np.zeros((MAX_COUNT + 1, 8, 8, 3), np.uint8)), NPY, 400, "body"),
    "npy of another shape": (npy(np.zeros((1, 8, 9, 3), np.uint8)), NPY, 400, "body"),
    "npy cut short": (npy(SQUARE[None])[:-1], NPY, 400, "body"),
    "npy with more behind": (npy(SQUARE[None]) + b"x", NPY, 400, "body"),
    "npy of objects": (npy(np.array([{}], object)), NPY, 400, "body"),
    "no npy": (b"\x93NUMPY\x01\x00\xff\xff{", NPY, 400, "body"),
    "npy of version 3.0": (b"\x93NUMPY\x03\x00" + npy(SQUARE[None])[8:], NPY, 400, "body"),
    "broken json": (b'{"images": [', JSON, 400, "body"),
    "deep json": (b"[" * 100_000, JSON, 400, "body"),
    "other json": (b'{"pictures": []}', JSON, 400, "body"),
    "no images": (as_json(), JSON, 400, "images"),
    "too many images": (as_json(*[file(SQUARE)] * (MAX_COUNT + 1)), JSON, 400, "images"),
    "no base64": (b'{"images": ["*"]}', JSON, 400, "images"),
    "no text": (b'{"images": [7]}', JSON, 400, "images"),
    "no boundary": (form(file(SQUARE))[0], "multipart/form-data", 400, "content-type"),
    "form cut short": (form(file(SQUARE))[0][:-20], form(file(SQUARE))[1], 400, "body"),
    "form of fields": (
        b'--b\r\ncontent-disposition: form-data; name="a"\r\n\r\nx\r\n--b--\r\n',
        "multipart/form-data; boundary=b",
        400,
        "body",
    ),
    "too large": (b"x" * (MAX_BODY + 1), NPY, 413, ""),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_body_is_refused(client: httpx.Client, name: str) -> None:
    body, content_type, status, field = WRONG[name]
    if name == "form cut short":  # boundaries are drawn anew for each form
        whole, content_type = form(file(SQUARE))
        body = whole[:-20]
    answer = client.post("/v1/scores", content=body, headers={"content-type": content_type})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem.get("field", "").startswith(field)
    assert "Traceback" not in answer.text
    assert "\n" not in problem["detail"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"PK\x03\x04 a zip", "does not begin with the byte 0x93, NUMPY"),
        (b"\x93NUM", "does not begin with the byte 0x93, NUMPY"),
        (b"\x93NUMPY\x09\x01", "its version is 9.1, wanted 1.0 or 2.0"),
        (b"\x93NUMPY\x01\x00\x04\x001+1\n", "its header is malformed; wanted a dictionary of descr"),
        (b"\x93NUMPY\x01\x00\x03\x00{}\n", "its header is malformed; wanted a dictionary of descr"),
    ],
)
def test_a_malformed_npy_is_refused_in_words(client: httpx.Client, body: bytes, said: str) -> None:
    answer = client.post("/v1/scores", content=body, headers={"content-type": NPY})
    assert answer.status_code == 400
    detail = answer.json()["detail"]
    assert said in detail
    assert detail.endswith("; write it with numpy.save")
    assert not {"<", ">"} & set(detail)  # no object of Python's with its address
