"""The runtime's error types, and how values and other libraries' messages become part of one line."""

LONGEST_INTEGER = 2**128  # Python refuses to print integers of thousands of digits


class BundleError(Exception):
    """A bundle that cannot be trusted: missing, altered, malformed, or of an unknown format."""


class PlanError(RuntimeError):
    """No plan can run what was asked for on this machine; the text says what can be mended, failures first."""


class ClosedError(RuntimeError):
    """A generator or discriminator was used after it was closed."""


class InputError(ValueError):
    """An argument of the wrong kind, shape, dtype or range."""


def shown(value: object, limit: int = 60) -> str:
    """The `repr` of a value that was given, cut to `limit` characters."""
    if isinstance(value, int) and abs(value) >= LONGEST_INTEGER:
        return f"an integer of {value.bit_length()} bits"
    return one_line(repr(value), limit)


def one_line(text: str, limit: int = 300) -> str:
    """`text` with every run of white space as one blank, cut to `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 3]}..."
