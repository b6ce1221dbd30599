"""What an export is doing, as one line that replaces the one before."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.markup import escape

from ganport_cli.terminal import console

__all__ = ["export_progress"]


@contextmanager
def export_progress() -> Iterator[Callable[[str], None]]:
    """Show whatever the function that this lends is told, until the block ends."""
    with console().status("Exporting") as status:
        yield lambda line: status.update(escape(f"{line[:1].upper()}{line[1:]}"))
