"""The server against its own OpenAPI document: whatever comes, it answers as documented, and never breaks."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image
from schemathesis import APIOperation, BaseSchema, Case, GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.core.result import Ok

from tests.support.serving import Here, serving_here

pytestmark = pytest.mark.slow

TOKEN = "fuzz"
HEADERS = {"authorization": f"Bearer {TOKEN}"}
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
Operation = APIOperation[Any, Any, Any, Any]
EXPECTED = (503, 504)  # of what begins with 5
EXAMPLES = {GenerationMode.POSITIVE: 14, GenerationMode.NEGATIVE: 10}
# nobody guesses where a bundle is, nor, by a schema, as many numbers as a shape has
DISCRIMINATOR = "POST /v2/models/discriminator"
WITHOUT_SUCCESS = {"POST /admin/bundle", f"{DISCRIMINATOR}/infer", f"{DISCRIMINATOR}/versions/{{version}}/infer"}


def png(rows: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, rows), (rows, 0, 0)).save(out, "PNG")
    return out.getvalue()


def npy(count: int) -> bytes:
    out = io.BytesIO()
    np.save(out, np.zeros((count, 8, 8, 3), np.uint8))
    return out.getvalue()


# right files and wrong ones, where a schema says no more than that bytes come
schemathesis.openapi.media_type("image/png", st.sampled_from([png(8), png(8), png(9)]))
schemathesis.openapi.media_type("application/x-npy", st.integers(0, 3).map(npy))


@pytest.fixture(scope="module")
def here(bundle: Path) -> Iterator[Here]:
    with serving_here(bundle, max_count=8, max_body=2**16, max_queue=64, token=TOKEN) as found:
        yield found


@pytest.fixture(scope="module")
def schema(here: Here) -> BaseSchema:
    return schemathesis.openapi.from_url(f"{here.url}/openapi.json", headers=HEADERS)


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as found:
        yield found


def operations(schema: BaseSchema) -> list[Operation]:
    found = list(schema.get_all_operations())
    assert all(isinstance(one, Ok) for one in found)
    return [one.ok() for one in found if isinstance(one, Ok)]


def takes_anything(operation: Operation) -> bool:
    """Whether there is something to get wrong."""
    return bool(operation.definition.raw.keys() & {"parameters", "requestBody"})


def fuzz(operation: Operation, mode: GenerationMode, session: requests.Session) -> set[int]:
    """The statuses of a number of requests."""
    seen = set()

    @given(case=operation.as_strategy(mode))
    @settings(
        max_examples=EXAMPLES[mode],
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def attempt(case: Case[Any]) -> None:
        response = case.call(session=session, headers=HEADERS)
        assert response.status_code < 500 or response.status_code in EXPECTED, response.text
        case.validate_response(response, checks=CHECKS)
        seen.add(response.status_code)

    attempt()
    return seen


def test_right_requests_are_answered_as_documented(schema: BaseSchema, session: requests.Session) -> None:
    seen = {one.label: fuzz(one, GenerationMode.POSITIVE, session) for one in operations(schema)}
    assert {label for label, statuses in seen.items() if 200 not in statuses} == WITHOUT_SUCCESS


def test_wrong_requests_are_answered_as_documented(schema: BaseSchema, session: requests.Session) -> None:
    asked = filter(takes_anything, operations(schema))
    seen = {one.label: fuzz(one, GenerationMode.NEGATIVE, session) for one in asked}
    assert {label for label, statuses in seen.items() if not statuses & {400, 404, 422}} == set()
