"""Reads the JSON of an inference request: every member looked at, every refusal with its field."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from ganport_runtime.text import shown
from numpy.typing import NDArray

from ganport_serve.problems import bad_field
from ganport_serve.v2.binary import Slot, sized
from ganport_serve.v2.core import seconds_of
from ganport_serve.v2.json_tensors import array_of
from ganport_serve.v2.models import Declared
from ganport_serve.v2.parameters import refuse_unsupported

__all__ = ["Document", "Given", "Wanted", "read"]


@dataclass(frozen=True, slots=True)
class Given:
    """One input as JSON has it.

    Attributes:
        declared: its name, datatype and shape.
        data: its numbers, where they stand in the JSON.
        binary_data_size: its bytes, where they follow the JSON.
    """

    declared: Declared
    data: object
    binary_data_size: object

    def array(self) -> NDArray[Any]:
        """The tensor of its `data`."""
        return array_of(self.data, self.declared.datatype, self.declared.shape, f"{self.declared.field}.data")

    def slot(self, offset: int) -> Slot:
        """The place of its bytes, of which `offset` others lie before."""
        field = f"{self.declared.field}.parameters.binary_data_size"
        return sized(self.binary_data_size, self.declared.datatype, self.declared.shape, offset, field)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One output as JSON asks for it.

    Attributes:
        name: of the tensor.
        binary: whether its numbers shall follow the JSON; None: as the whole request says.
    """

    name: str
    binary: bool | None


@dataclass(frozen=True, slots=True)
class Document:
    """An inference request as JSON has it.

    Attributes:
        request_id: to be echoed; None: none was given.
        timeout: seconds; None: none was asked for.
        binary: whether outputs shall be binary where they do not say.
        inputs: in the order given.
        outputs: in the order given; none means all.
    """

    request_id: str | None
    timeout: float | None
    binary: bool
    inputs: tuple[Given, ...]
    outputs: tuple[Wanted, ...]


def read(text: bytes) -> Document:
    """The request of these bytes.

    Raises:
        ProblemError: they are no JSON or no inference request, with the field that is wrong.
    """
    members = _object(_parsed(text), "body")
    request_id = members.get("id")
    if request_id is not None and not isinstance(request_id, str):
        raise bad_field("id", f"id is {shown(request_id)}, wanted a string")
    parameters = _parameters(members, "")
    return Document(
        request_id,
        seconds_of(parameters.get("timeout"), "parameters.timeout"),
        bool(_flag(parameters, "binary_data_output", "parameters")),
        tuple(_given(item, f"inputs[{index}]") for index, item in enumerate(_list(members, "inputs"))),
        tuple(_wanted(item, f"outputs[{index}]") for index, item in enumerate(_list(members, "outputs"))),
    )


def _parsed(text: bytes) -> object:
    try:
        return json.loads(text.decode("utf-8"), parse_constant=_refuse_constant)
    except RecursionError:
        raise bad_field("body", "the JSON is nested too deep, wanted an inference request") from None
    except ValueError as error:  # also what is no UTF-8, and integers of thousands of digits
        raise bad_field("body", f"the JSON cannot be read: {shown(str(error), 120)[1:-1]}") from None


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON, wanted finite numbers")


def _given(item: object, field: str) -> Given:
    members = _object(item, field)
    name, datatype = (_string(members, key, field) for key in ("name", "datatype"))
    shape = members.get("shape")
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise bad_field(
            f"{field}.shape", f"{field}.shape is {shown(shape)}, wanted a list of whole numbers of 0 or more"
        )
    data, size = members.get("data"), _parameters(members, field).get("binary_data_size")
    if (data is None) == (size is None):
        what = "nothing" if data is None else "both"
        raise bad_field(field, f"{field} has {what}, wanted its numbers either as data or as binary_data_size bytes")
    return Given(Declared(name, datatype, tuple(shape), field), data, size)


def _wanted(item: object, field: str) -> Wanted:
    members = _object(item, field)
    return Wanted(
        _string(members, "name", field), _flag(_parameters(members, field), "binary_data", f"{field}.parameters")
    )


def _parameters(members: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    where = f"{field}.parameters".lstrip(".")
    parameters = members.get("parameters")
    found = {} if parameters is None else _object(parameters, where)
    refuse_unsupported(found, where)
    return found


def _object(value: object, field: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise bad_field(field, f"{field} is {shown(value)}, wanted an object")
    return value


def _list(members: Mapping[str, Any], name: str) -> Sequence[Any]:
    value = members.get(name)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise bad_field(name, f"{name} is {shown(value)}, wanted a list of tensors")
    return value


def _string(members: Mapping[str, Any], key: str, field: str) -> str:
    value = members.get(key)
    if not isinstance(value, str):
        raise bad_field(f"{field}.{key}", f"{field}.{key} is {shown(value)}, wanted a string")
    return value


def _flag(parameters: Mapping[str, Any], key: str, field: str) -> bool | None:
    value = parameters.get(key)
    if value is not None and not isinstance(value, bool):
        raise bad_field(f"{field}.{key}", f"{field}.{key} is {shown(value)}, wanted true or false")
    return value
