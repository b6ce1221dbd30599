"""A report directory: features.json, table.md and figures, each file there whole or not at all."""

from pathlib import Path

from ganport_runtime.atomic import write_bytes, write_json

from ganport_bench.errors import FeaturesError
from ganport_bench.features import figures, summary
from ganport_bench.features.evaluation import METHODS, Evaluation


def check_directory(directory: Path) -> None:
    """Say before any work that a report cannot go to `directory`; raises `FeaturesError`."""
    if directory.exists() and not directory.is_dir():
        raise FeaturesError(f"--report {directory} is a file: name a folder, new or of an earlier report")


def write_report(evaluation: Evaluation, directory: Path) -> tuple[Path, ...]:
    """Write the report and return its files; files of an earlier one in the same place are replaced.

    Args:
        evaluation: Made with `projections=True`, or its report has no scatter pictures.
        directory: Made where it is missing, with its parents.

    Raises:
        FeaturesError: `directory` is a file.
        OSError: It cannot be written.
    """
    check_directory(directory)
    directory.mkdir(parents=True, exist_ok=True)
    names = []
    for name, content in figures.draw(evaluation):
        write_bytes(directory / name, content)
        names.append(name)
    write_bytes(directory / "table.md", markdown(evaluation, tuple(names)).encode())
    write_json(directory / "features.json", evaluation.to_json())
    for stale in set(figures.NAMES) - set(names):
        (directory / stale).unlink(missing_ok=True)  # of an earlier report: it would show other images
    return tuple(directory / name for name in (*names, "table.md", "features.json"))


def markdown(evaluation: Evaluation, figure_names: tuple[str, ...] = ()) -> str:
    """The table, what it says, how it was made, and the figures, as Markdown."""
    heads = summary.columns(evaluation)
    lines = [f"# {summary.title(evaluation)}", "", _line(heads), _line(["---"] * len(heads))]
    lines += [_line(row) for row in summary.rows(evaluation)]
    sentences = [*summary.verdicts(evaluation), *evaluation.notes]
    lines += ["", *(f"- {sentence}" for sentence in sentences), ""]
    lines += [f"- {name.replace('_', ' ')}: {method}" for name, method in METHODS.items()]
    lines += [f"- seed {evaluation.seed}", "", *(f"![{name}]({name})\n" for name in figure_names)]
    return "\n".join(lines).rstrip() + "\n"


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
