"""Reads typed fields out of a JSON document and names the place of the first one that is wrong."""

import json
import math
from typing import Any, NoReturn

from ganport_runtime.errors import BundleError, shown

__all__ = ["Fields", "parse_json"]

MAX_INTEGER = 2**31 - 1  # sizes beyond it fit no engine; a larger one is a damaged document


def parse_json(data: bytes) -> object:
    """Parse JSON strictly: UTF-8, no NaN or infinity, no key twice in one object, text that can be written again.

    Raises:
        BundleError: the bytes are anything else.
    """
    try:
        document = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_without_duplicates,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
        json.dumps(document, ensure_ascii=False).encode()  # half a surrogate pair could be neither printed nor opened
    except UnicodeError:
        raise BundleError("the text is not UTF-8") from None
    except RecursionError:
        raise BundleError("the JSON is nested too deeply") from None
    except ValueError as error:  # JSONDecodeError is one, and so is an integer of too many digits
        raise BundleError(f"malformed JSON ({error})") from None
    return document


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} appears twice")
    return result


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits} is too large a number")
    return number


class Fields:
    """One JSON object, read field by field.

    Args:
        document: what JSON held at this place.
        where: the place's name in messages, such as `generator.latent`; empty for the whole document.

    Raises:
        BundleError: from every method, where the field is absent or of another kind than asked for.
    """

    def __init__(self, document: object, where: str = "") -> None:
        self.where = where
        if not isinstance(document, dict):
            raise BundleError(f"{where or 'the document'} is {shown(document)}, wanted an object")
        self.document: dict[str, Any] = document

    def text(self, key: str) -> str:
        """A printable string that is not empty."""
        value = self._value(key)
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            self.refuse(key, "printable text")
        return value

    def integer(self, key: str) -> int:
        """A whole number from 1 to 2^31 - 1."""
        value = self._value(key)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_INTEGER:
            self.refuse(key, f"a whole number from 1 to {MAX_INTEGER}")
        return value

    def number(self, key: str) -> float:
        """A number, whole or not."""
        value = self._value(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= MAX_INTEGER:
            self.refuse(key, "a number")
        return float(value)

    def mapping(self, key: str) -> dict[str, Any]:
        """An object whose keys are free."""
        return self.fields(key).document

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings."""
        values = self._list(key)
        if not all(isinstance(value, str) and value.isprintable() for value in values):
            self.refuse(key, "a list of text")
        return tuple(values)

    def fields(self, key: str) -> "Fields":
        """The object under `key`."""
        return Fields(self._value(key), self._place(key))

    def optional(self, key: str) -> "Fields | None":
        """The object under `key`, or None where it is absent or null."""
        return None if self.document.get(key) is None else self.fields(key)

    def items(self, key: str) -> "list[Fields]":
        """The objects of the list under `key`."""
        return [Fields(item, f"{self._place(key)}[{index}]") for index, item in enumerate(self._list(key))]

    def refuse(self, key: str, wanted: str) -> NoReturn:
        """Raise the error that says what the field holds and what is wanted."""
        raise BundleError(f"{self._place(key)} is {shown(self.document[key])}, wanted {wanted}")

    def _list(self, key: str) -> list[Any]:
        value = self._value(key)
        if not isinstance(value, list):
            self.refuse(key, "a list")
        return value

    def _value(self, key: str) -> Any:
        if key not in self.document:
            raise BundleError(f"{self._place(key)} is missing")
        return self.document[key]

    def _place(self, key: str) -> str:
        return f"{self.where}.{key}" if self.where else key
