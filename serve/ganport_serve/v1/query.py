"""Query parameters, declared once: read strictly, and described for the OpenAPI document from the same lines."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ganport_runtime.text import shown
from starlette.requests import Request

from ganport_serve.problems import bad_field

__all__ = ["Choice", "Integer", "Parameter", "read"]

WHOLE = re.compile(r"[0-9]{1,20}")  # 2^64 - 1 has twenty digits


class Parameter(Protocol):
    """One parameter that a path takes in its query."""

    @property
    def name(self) -> str:
        """As it stands in the query."""

    @property
    def default(self) -> Any:
        """What stands for it where it is left out."""

    @property
    def text(self) -> str:
        """One line that says what it is."""

    def value(self, word: str) -> Any:
        """What a client's word means; raises ProblemError where it means nothing."""

    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""


@dataclass(frozen=True)
class Integer:
    """A whole number from `low` to `high`, in decimal digits."""

    name: str
    low: int
    high: int
    default: int | None
    text: str

    def value(self, word: str) -> int:
        """The number."""
        number = int(word) if WHOLE.fullmatch(word) else -1
        if not self.low <= number <= self.high:
            raise bad_field(
                self.name, f"{self.name} is {shown(word)}, wanted a whole number from {self.low} to {self.high}"
            )
        return number

    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""
        schema = {"type": "integer", "minimum": self.low, "maximum": self.high}
        return schema if self.default is None else {**schema, "default": self.default}


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    name: str
    words: tuple[str, ...]
    default: str | None
    text: str

    def value(self, word: str) -> str:
        """The word."""
        if word not in self.words:
            raise bad_field(self.name, f"{self.name} is {shown(word)}, wanted one of {', '.join(self.words)}")
        return word

    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""
        schema = {"type": "string", "enum": list(self.words)}
        return schema if self.default is None else {**schema, "default": self.default}


def read(request: Request, parameters: Sequence[Parameter]) -> Mapping[str, Any]:
    """The value of every parameter, by name.

    Raises:
        ProblemError: 400 with the field: a parameter is unknown, stands twice, or has no such value.
    """
    declared = {parameter.name: parameter for parameter in parameters}
    given: dict[str, Any] = {}
    for name, word in request.query_params.multi_items():
        if name not in declared:
            known = ", ".join(declared) or "none"
            raise bad_field(shown(name).strip("'"), f"there is no parameter {shown(name)} here; known: {known}")
        if name in given:
            raise bad_field(name, f"{name} is given twice; give it once")
        given[name] = declared[name].value(word)
    return {name: given.get(name, parameter.default) for name, parameter in declared.items()}
