"""Puts text between the pairs of comments of a page, and leaves all else as it is."""

import re
from collections.abc import Mapping

from ganport_bench.errors import BenchError

__all__ = ["replace_sections"]

END = "<!-- /bench -->"
BEGIN = re.compile(r"^<!-- bench: (?P<name>[a-z ]+) -->$", re.MULTILINE)


def replace_sections(page: str, texts: Mapping[str, str]) -> tuple[str, list[str]]:
    """The page with new texts, and the names of those that it has, in its order.

    Args:
        page: Markdown.
        texts: by name; those for which the page has no place are left out.

    Raises:
        BenchError: a place without its end, or one that begins inside another.
    """
    parts, names, at = [], list[str](), 0
    for found in BEGIN.finditer(page):
        name, begin = found["name"], found.end()
        end = page.find(END, begin)
        following = BEGIN.search(page, begin)
        if end < 0 or (following is not None and following.start() < end):
            raise BenchError(f"the place for {name!r} has no end: write {END} on a line of its own after it")
        if name in texts:
            parts += [page[at:begin], f"\n\n{texts[name].strip()}\n\n"]
            names.append(name)
            at = end
    return "".join((*parts, page[at:])), names
