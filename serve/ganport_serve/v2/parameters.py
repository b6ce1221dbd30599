"""Request parameters that ask for what is not served; a server may pass over others that it does not know."""

from collections.abc import Iterable

from ganport_serve.problems import bad_field

__all__ = ["refuse_unsupported"]

_SHARED_MEMORY = "tensors come and go with the request itself; shared memory is not served"
_SEQUENCES = "every request stands alone; sequences are not served"
_UNSUPPORTED = {
    "shared_memory_region": _SHARED_MEMORY,
    "shared_memory_byte_size": _SHARED_MEMORY,
    "shared_memory_offset": _SHARED_MEMORY,
    "sequence_id": _SEQUENCES,
    "sequence_start": _SEQUENCES,
    "sequence_end": _SEQUENCES,
    "priority": "requests are answered in the order in which they come; priorities are not served",
    "classification": "outputs come as tensors; classification is not served",
}


def refuse_unsupported(names: Iterable[str], field: str) -> None:
    """Refuse parameters whose wish cannot be met, so that nobody believes it was.

    Raises:
        ProblemError: there is one, with its field.
    """
    for name in names:
        if name in _UNSUPPORTED:
            raise bad_field(f"{field}.{name}", _UNSUPPORTED[name])
