"""One real server on a thread for the tests of the plain paths, and the networks that say what it must answer."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.bundles import make_bundle, make_weights
from tests.support.serving import Here, serving_here

MAX_COUNT = 40
MAX_BODY = 256 * 2**10


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("v1") / "tiny.ganport", make_weights(latent_dim=4, image=(8, 8, 3)))


@pytest.fixture(scope="module")
def here(bundle: Path) -> Iterator[Here]:
    with serving_here(bundle, max_count=MAX_COUNT, max_body=MAX_BODY, max_queue=512) as found:
        yield found


@pytest.fixture(scope="module")
def client(here: Here) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=here.url) as found:
        yield found
