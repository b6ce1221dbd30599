"""Values and other libraries' messages as part of one line."""

__all__ = ["one_line", "shown"]

LONGEST_INTEGER = 2**128  # Python refuses to print integers of thousands of digits


def shown(value: object, limit: int = 60) -> str:
    """The `repr` of a value that was given, cut to `limit` characters."""
    if isinstance(value, int) and abs(value) >= LONGEST_INTEGER:
        return f"an integer of {value.bit_length()} bits"
    return one_line(repr(value), limit)


def one_line(text: str, limit: int = 300) -> str:
    """`text` with every run of white space as one blank, cut to `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 3]}..."
