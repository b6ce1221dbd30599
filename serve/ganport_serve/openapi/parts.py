"""The pieces from which every operation of the document is put together."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from ganport_serve.openapi.refusals import refusal

__all__ = ["JSON", "Document", "answer", "array", "constant", "nullable", "operation", "record"]

Document = dict[str, Any]

JSON = "application/json"


def operation(
    name: str,
    tag: str,
    summary: str,
    answers: Document,
    *,
    text: str = "",
    parameters: Sequence[Document] = (),
    body: Document | None = None,
    refused: Sequence[HTTPStatus] = (),
) -> Document:
    """One method of a path.

    Args:
        name: unique among all operations.
        tag: the group that it belongs to.
        summary: a few words.
        answers: successful ones, by status.
        text: what else there is to say.
        parameters: in path, query and headers.
        body: what is sent.
        refused: statuses of refusals, beside those that every request may meet.
    """
    said: Document = {"operationId": name, "tags": [tag], "summary": summary}
    if text:
        said["description"] = text
    if parameters:
        said["parameters"] = list(parameters)
    if body is not None:
        said["requestBody"] = body
    return {**said, "responses": answers | {str(int(status)): refusal(status) for status in refused}}


def answer(text: str, content: Document, headers: Document | None = None) -> Document:
    """A successful answer.

    Args:
        text: what it is.
        content: by media type; the value is a schema, empty for bytes that JSON Schema does not describe.
        headers: texts by name.
    """
    said: Document = {"description": text}
    if content:
        said["content"] = {kind: {"schema": schema} if schema else {} for kind, schema in content.items()}
    if headers:
        said["headers"] = {name: {"description": word, "schema": {"type": "string"}} for name, word in headers.items()}
    return said


def record(properties: Document, *, optional: Sequence[str] = (), closed: bool = False) -> Document:
    """The schema of an object whose members are all there but for the optional ones."""
    required = [name for name in properties if name not in optional]
    schema = {"type": "object", "required": required, "properties": properties}
    return {**schema, "additionalProperties": False} if closed else schema


def array(items: Document, least: int | None = None, most: int | None = None) -> Document:
    """The schema of a list."""
    bounds = {"minItems": least, "maxItems": most}
    return {"type": "array", "items": items} | {name: bound for name, bound in bounds.items() if bound is not None}


def nullable(schema: Document) -> Document:
    """The schema of a value that may be null."""
    return {"oneOf": [schema, {"type": "null"}]}


def constant(value: object) -> Document:
    """The schema of one value."""
    return {"const": value}
