"""One table, three writers."""

from html.parser import HTMLParser

import pytest
from ganport_bench.tables import Table, number, to_html, to_markdown, to_terminal
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

TABLE = Table(
    "Speed", ("system", "images/s"), [("ours", "1,234"), ("[red]|<b>", "12 WRONG"), ("short",)], "one\ntwo", {0}
)


def terminal(table: Table) -> str:
    console = Console(width=100)
    with console.capture() as capture:
        console.print(to_terminal(table))
    return capture.get()


class Texts(HTMLParser):
    """The texts of a page, by element and class."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str, str]] = []
        self.open: list[tuple[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append((tag, dict(attrs).get("class") or ""))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.found.append((*self.open[-1], data.strip()))


def test_the_terminal_shows_cells_and_lines_as_they_are() -> None:
    shown = terminal(TABLE)
    for text in ("Speed", "images/s", "1,234", "[red]|<b>", "12 WRONG", "one\ntwo"):
        assert text in shown


def test_markdown_is_a_table_of_one_line_a_row() -> None:
    table, one, two = to_markdown(TABLE).split("\n\n")
    lines = table.splitlines()
    assert lines[0] == "| system | images/s |"
    assert lines[1] == "| --- | --: |", "numbers stand right"
    assert lines[2] == "| **ours** | 1,234 |"
    assert lines[3] == r"| [red]\|&lt;b> | 12 WRONG |"
    assert (len(lines), one, two) == (5, "one", "two")


def test_html_marks_numbers_wrong_cells_and_own_rows() -> None:
    found = Texts(to_html(TABLE)).found
    assert ("td", "number", "1,234") in found
    assert ("td", "wrong", "12 WRONG") in found
    assert ("th", "", "[red]|<b>") in found
    assert [one for one in found if one[0] == "p"] == [("p", "", "one"), ("p", "", "two")]
    assert 'class="plan"' in to_html(TABLE)


def test_a_long_table_is_folded() -> None:
    assert to_html(Table("All", ("a",), [("1",)], is_long=True)).startswith("<details><summary>All</summary>")


@given(st.text())
def test_any_text_is_escaped_on_a_page(text: str) -> None:
    """A page that is read back holds the text and no element more."""
    shown = Texts(to_html(Table(text, (text,), [(text,)], text)))
    assert {tag for tag, _, _ in shown.found} <= {"h3", "th", "p"}


def test_a_table_without_columns_is_its_lines() -> None:
    table = Table("", note="one\ntwo")
    assert terminal(table) == "one\ntwo\n"
    assert to_markdown(table) == "one\n\ntwo"
    assert "<table" not in to_html(table)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (0, "0"), (1234.5, "1,234"), (99.95, "100.0"), (12.34, "12.3"), (1.234, "1.23"), (0.123, "0.123")],
)
def test_numbers_have_three_digits_that_count(value: float | None, text: str) -> None:
    assert number(value) == text
