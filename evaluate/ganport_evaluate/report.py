"""An evaluation as rows and sentences, which the terminal and table.md show, and as a report directory."""

from pathlib import Path

from ganport_runtime.atomic import write_bytes, write_json

from ganport_evaluate import figures
from ganport_evaluate.dataset import FeaturesError
from ganport_evaluate.evaluation import METHODS, Evaluation, RepresentationResult
from ganport_evaluate.measurements import Accuracy, ClassScore


def check_directory(directory: Path) -> None:
    """Say before any work that a report cannot go to `directory`; raises `FeaturesError`."""
    if directory.exists() and not directory.is_dir():
        raise FeaturesError(f"--report {directory} is a file: name a folder, new or of an earlier report")


def write_report(evaluation: Evaluation, directory: Path) -> tuple[Path, ...]:
    """Write the report into a new folder or over an earlier report, and return its files."""
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
    heads = columns(evaluation)
    lines = [f"# {title(evaluation)}", "", _line(heads), _line(["---"] * len(heads))]
    lines += [_line(row) for row in rows(evaluation)]
    sentences = [*verdicts(evaluation), *evaluation.notes]
    lines += ["", *(f"- {sentence}" for sentence in sentences), ""]
    lines += [f"- {name.replace('_', ' ')}: {method}" for name, method in METHODS.items()]
    lines += [f"- seed {evaluation.seed}", "", *(f"![{name}]({name})\n" for name in figure_names)]
    return "\n".join(lines).rstrip() + "\n"


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def title(evaluation: Evaluation) -> str:
    """What was evaluated on what, in one line."""
    dataset = evaluation.dataset
    if dataset.labels is None:
        return f"Features of {evaluation.bundle} on {len(dataset)} images without labels of {evaluation.data}"
    return (
        f"Features of {evaluation.bundle} on {evaluation.data}: {len(dataset.class_names)} classes, "
        f"{len(dataset.train)} images to fit on, {len(dataset.test)} held out"
    )


def columns(evaluation: Evaluation) -> list[str]:
    """Heads of the columns of `rows`."""
    if evaluation.dataset.labels is None:
        return ["representation", "dimensions", "clusters", "silhouette"]
    return ["representation", "dimensions", "linear probe", "nearest neighbors", "k-means NMI", "adjusted Rand"]


def rows(evaluation: Evaluation) -> list[list[str]]:
    """One row a representation, and with labels a last one for the floor."""
    floor = [["largest class (floor)", "", show(evaluation.floor), "", "0", "0"]] if evaluation.floor else []
    return [*map(_row, evaluation.results), *floor]


def show(accuracy: Accuracy) -> str:
    """An accuracy and its interval in per cent."""
    return f"{accuracy.value:.1%} [{100 * accuracy.low:.1f}, {100 * accuracy.high:.1f}]"


def verdicts(evaluation: Evaluation) -> list[str]:
    """For each classifier, how the discriminator stands to the best control."""
    return [
        _verdict(evaluation, name, [getattr(result, field) for result in evaluation.results])
        for name, field in (("linear probe", "linear_probe"), ("nearest neighbors", "nearest_neighbors"))
        if evaluation.floor is not None
    ]


def _row(result: RepresentationResult) -> list[str]:
    clusters, head = result.clusters, [result.title, f"{result.dimensions:,}"]
    if result.linear_probe is None or result.nearest_neighbors is None:
        return [*head, str(clusters.count), f"{clusters.silhouette:.3f}"]
    agreement = (clusters.normalized_mutual_information, clusters.adjusted_rand_index)
    probes = (_show_probe(result.linear_probe), _show_probe(result.nearest_neighbors))
    return [*head, *probes, *(f"{share:.3f}" for share in agreement)]


def _show_probe(probe: ClassScore) -> str:
    sign = "k" if probe.setting == "neighbors" else "penalty"
    return f"{show(probe.accuracy)} {sign} {probe.chosen:g}"


def _verdict(evaluation: Evaluation, name: str, probes: list[ClassScore]) -> str:
    own, *controls = probes
    best = max(range(len(controls)), key=lambda index: controls[index].accuracy.correct)
    control, other = evaluation.results[1 + best].title, controls[best].accuracy
    points = 100 * (own.accuracy.value - other.value)
    apart = own.accuracy.low > other.high or own.accuracy.high < other.low
    standing = f"{abs(points):.1f} points {'above' if points > 0 else 'below'}" if points else "equal to"
    return (
        f"{name}: the discriminator's features are {standing} the best control ({control}); "
        f"the 95 % intervals {'do not overlap' if apart else 'overlap'}"
    )
