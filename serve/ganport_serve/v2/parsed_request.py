"""What the JSON part of an HTTP request asks for, worked out once however often the same bytes come."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganport_serve.problems import bad_field
from ganport_serve.v2.binary import HEADER_LENGTH, Slot
from ganport_serve.v2.core import InferenceCall
from ganport_serve.v2.models import VERSION, Model, TensorSpec
from ganport_serve.v2.request_json import Document, read

__all__ = ["LONGEST_REMEMBERED", "Output", "ParsedRequest", "parse"]

LONGEST_REMEMBERED = 4096  # bytes; longer JSON carries its numbers and hardly comes twice


@dataclass(frozen=True, slots=True)
class Output:
    """One output that a request wants.

    Attributes:
        name: of the tensor.
        binary: whether its numbers follow the JSON as bytes.
        opening: what JSON says of it up to its numbers, with places for its shape, and for its bytes where binary.
    """

    name: str
    binary: bool
    opening: bytes


@dataclass(frozen=True)
class ParsedRequest:
    """A request without the bytes that follow its JSON.

    Attributes:
        call: what is asked of the model.
        arrays: tensors whose numbers stand in the JSON.
        slots: where the others lie after it.
        tail: bytes that must follow the JSON.
        outputs: what is wanted.
        opening: the answer's JSON up to its first output.
    """

    call: InferenceCall
    arrays: Mapping[str, NDArray[Any]]
    slots: Mapping[str, Slot]
    tail: int
    outputs: tuple[Output, ...]
    opening: bytes

    @cached_property
    def is_binary_image(self) -> bool:
        """Whether it wants images as bytes, and nothing else."""
        return len(self.outputs) == 1 and self.outputs[0].binary and self.outputs[0].name == "image"

    @cached_property
    def is_one_seed(self) -> bool:
        """Whether all that follows its JSON is one seed, as of most requests that make a server busy."""
        slot = self.slots.get("seed")
        return slot is not None and len(self.slots) == 1 and not self.arrays and slot.dtype == np.dtype("<u8")

    def seed(self, body: bytes, start: int) -> int:
        """The seed where `is_one_seed`, without an array around it.

        Args:
            body: of the request.
            start: where its JSON ends.

        Raises:
            ProblemError: the bytes after the JSON are not as many as the JSON says.
        """
        self._check_tail(len(body) - start)
        return int.from_bytes(body[start:], "little")

    def tensors(self, body: bytes, start: int) -> dict[str, NDArray[Any]]:
        """Every input of the request.

        Args:
            body: of the request.
            start: where its JSON ends.

        Raises:
            ProblemError: the bytes after the JSON are not as many as the JSON says.
        """
        self._check_tail(len(body) - start)
        return {**self.arrays, **{name: slot.array(body, start) for name, slot in self.slots.items()}}

    def _check_tail(self, given: int) -> None:
        if given != self.tail:
            detail = f"{given} bytes follow the JSON, wanted {self.tail}: the sum of every binary_data_size"
            raise bad_field(HEADER_LENGTH, detail)


def parse(model: Model, text: bytes) -> ParsedRequest:
    """Work out a request's JSON.

    Raises:
        ProblemError: it is no JSON or no request of this model, with the field that is wrong.
    """
    return _remembered(model, text) if len(text) <= LONGEST_REMEMBERED else _parse(model, text)


def _parse(model: Model, text: bytes) -> ParsedRequest:
    document = read(text)
    declared = tuple(given.declared for given in document.inputs)
    model.admit(declared)
    arrays: dict[str, NDArray[Any]] = {}
    slots: dict[str, Slot] = {}
    tail = 0
    for given in document.inputs:
        if given.binary_data_size is None:
            arrays[given.declared.name] = given.array()
        else:
            slots[given.declared.name] = slot = given.slot(tail)
            tail += slot.size
    return ParsedRequest(
        InferenceCall(model, declared, document.timeout),
        arrays,
        slots,
        tail,
        _outputs(model, document),
        _opening(model, document),
    )


_remembered = lru_cache(maxsize=1024)(_parse)


def _outputs(model: Model, document: Document) -> tuple[Output, ...]:
    specs = model.outputs_named([wanted.name for wanted in document.outputs])
    said = {wanted.name: wanted.binary for wanted in document.outputs if wanted.binary is not None}
    return tuple(_output(spec, said.get(spec.name, document.binary)) for spec in specs)


def _output(spec: TensorSpec, binary: bool) -> Output:
    places = ",".join("%d" for _ in spec.shape)
    start = f'{{"name":"{spec.name}","datatype":"{spec.datatypes[0]}","shape":[{places}],'
    rest = '"parameters":{"binary_data_size":%d}' if binary else '"data":['
    return Output(spec.name, binary, (start + rest).encode())


def _opening(model: Model, document: Document) -> bytes:
    members = {"model_name": model.name, "model_version": VERSION}
    if document.request_id is not None:
        members["id"] = document.request_id
    return json.dumps(members, separators=(",", ":"))[:-1].encode() + b',"outputs":['
