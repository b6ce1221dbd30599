"""One table for terminal, Markdown and HTML, and numbers as people read them."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markupsafe import Markup
    from rich.console import RenderableType

MIB = 2**20
MANY_ROWS = 10
WRONG = "WRONG"  # a cell or line with this word is shown in red
NUMBER = re.compile(r"[-+~]?[\d.,]+")


@dataclass(frozen=True)
class Table:
    """A table of texts. Nothing in it is markup."""

    title: str  # stands above it; may be empty
    columns: Sequence[str] = ()  # their heads; without any, the table is only the lines of its note
    rows: Sequence[Sequence[str]] = ()  # cells. Short rows are filled up
    note: str = ""  # lines below the table
    bold: Collection[int] = ()  # indices of rows that stand out
    is_long: bool = False  # the page folds it, as it does tables of many rows, and the terminal leaves it out

    @property
    def is_folded(self) -> bool:
        """Whether the page shows it only when its title is chosen."""
        return bool(self.title) and (self.is_long or len(self.rows) > MANY_ROWS)

    @property
    def lines(self) -> list[str]:
        """The note's lines."""
        return self.note.splitlines()

    @property
    def filled(self) -> list[list[str]]:
        """The rows, each with a cell for every column."""
        return [[*row, *[""] * (len(self.columns) - len(row))] for row in self.rows]

    @property
    def is_right(self) -> list[bool]:
        """By column: whether it is aligned right, since all of its cells begin with a number."""
        columns = ([cell for cell in column if cell] for column in zip(*self.filled, strict=True))
        found = [bool(cells) and all(NUMBER.match(cell) for cell in cells) for cells in columns]
        return found or [False] * len(self.columns)


def to_terminal(table: Table) -> "RenderableType":
    """The table for rich."""
    from rich.console import Group
    from rich.table import Table as RichTable
    from rich.text import Text

    def text(words: str) -> Text:
        return Text(words, style="red" if WRONG in words else "")

    lines = [text(line) for line in table.lines]
    if not table.columns:
        return Group(*([Text(table.title, style="bold")] if table.title else []), *lines)
    shown = RichTable(title=Text(table.title) if table.title else None, title_justify="left")
    for column, is_right in zip(table.columns, table.is_right, strict=True):
        shown.add_column(Text(column), justify="right" if is_right else "left")
    for index, row in enumerate(table.filled):
        shown.add_row(*map(text, row), style="bold" if index in table.bold else "")
    return Group(shown, *lines)


def to_markdown(table: Table) -> str:
    """The table for a page of Markdown, without its title; notes are paragraphs below it."""
    parts = ["\n".join(_markdown_lines(table))] if table.columns else []
    return "\n\n".join([*parts, *map(_escaped, table.lines)])


def _markdown_lines(table: Table) -> Iterator[str]:
    rows = [list(table.columns), ["--:" if right else "---" for right in table.is_right]]
    rows += [
        [
            f"**{cell}**" if index in table.bold and column == 0 else cell
            for column, cell in enumerate(map(_escaped, row))
        ]
        for index, row in enumerate(table.filled)
    ]
    return (f"| {' | '.join(row)} |" for row in rows)


def _escaped(cell: str) -> str:
    return " ".join(cell.replace("|", "\\|").replace("<", "&lt;").split())


TEMPLATE = """\
{% if not table.is_folded and table.title %}<h3>{{ table.title }}</h3>{% endif -%}
{% if table.is_folded %}<details><summary>{{ table.title }}</summary>{% endif -%}
{% if table.columns %}<div class="wide"><table><thead><tr>
{%- for column in table.columns %}<th scope="col">{{ column }}</th>{% endfor %}</tr></thead><tbody>
{%- for row in table.filled %}<tr{% if loop.index0 in table.bold %} class="plan"{% endif %}>
{%- for cell in row -%}
{% if loop.first %}<th scope="row">{{ cell }}</th>
{%- elif "WRONG" in cell %}<td class="wrong">{{ cell }}</td>
{%- elif number.match(cell) %}<td class="number">{{ cell }}</td>
{%- else %}<td>{{ cell }}</td>
{%- endif %}{% endfor %}</tr>
{% endfor %}</tbody></table></div>{% endif %}
{%- for line in table.lines %}<p{% if "WRONG" in line %} class="wrong"{% endif %}>{{ line }}</p>
{% endfor -%}
{% if table.is_folded %}</details>{% endif %}"""


def to_html(table: Table) -> "Markup":
    """The table for the page; every text is escaped."""
    from jinja2 import Environment
    from markupsafe import Markup

    return Markup(Environment(autoescape=True).from_string(TEMPLATE).render(table=table, number=NUMBER))


def number(value: float | None) -> str:
    """Three significant digits, or all before the point; empty for None."""
    if value is None:
        return ""
    size = abs(value)
    digits = 0 if size >= 100 or value == 0 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:,.{digits}f}" if size >= 0.01 or value == 0 else f"{value:.2g}"


def between(low: float | None, high: float | None) -> str:
    """An interval; empty where there is none."""
    return "" if low is None or high is None or low == high else f"{number(low)} to {number(high)}"


def estimate(document: Mapping[str, Any] | None, unit: str = "") -> str:
    """The value, unit and interval of `{value, low, high}`: `4.10x (4.00 to 4.34)`."""
    if document is None:
        return ""
    interval = between(document.get("low"), document.get("high"))
    return f"{number(document['value'])}{unit}" + (f" ({interval})" if interval else "")


def percent(share: float | None) -> str:
    """A share; empty for None."""
    return "" if share is None else f"{share:.0%}"


def mebibytes(size: float | None) -> str:
    """Bytes in MiB; empty for None."""
    return "" if size is None else number(size / MIB)


def listed(values: Mapping[str, Any]) -> str:
    """`name value, name value`, without what is None."""
    return ", ".join(f"{name} {value}" for name, value in values.items() if value is not None)


def shortened(name: str, most: int) -> str:
    """A name of so many characters at most."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def reasons(whys: Mapping[str, str]) -> list[str]:
    """One line for each reason: the names that share it, then the reason."""
    names: dict[str, list[str]] = {}
    for name, why in whys.items():
        names.setdefault(why, []).append(name)
    return [f"{', '.join(those)}: {why}" for why, those in names.items()]
