"""An evaluation in words and rows: what the terminal and table.md both show."""

from ganport_bench.features.evaluation import Evaluation, Result
from ganport_bench.features.probes import Accuracy, Probe


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
    if evaluation.floor is None:
        return [_unlabeled_row(result) for result in evaluation.results]
    floor = ["largest class (floor)", "", show(evaluation.floor), "", "0", "0"]
    return [*(_row(result) for result in evaluation.results), floor]


def show(accuracy: Accuracy) -> str:
    """An accuracy and its interval in per cent."""
    return f"{accuracy.value:.1%} [{100 * accuracy.low:.1f}, {100 * accuracy.high:.1f}]"


def verdicts(evaluation: Evaluation) -> list[str]:
    """For each classifier, how the discriminator stands to the best control; empty without labels."""
    return [
        _verdict(evaluation, name, [getattr(result, field) for result in evaluation.results])
        for name, field in (("linear probe", "linear_probe"), ("nearest neighbors", "nearest_neighbors"))
        if evaluation.floor is not None
    ]


def _row(result: Result) -> list[str]:
    clusters = result.clusters
    return [
        result.title,
        f"{result.dimensions:,}",
        "" if result.linear_probe is None else _show_probe(result.linear_probe),
        "" if result.nearest_neighbors is None else _show_probe(result.nearest_neighbors),
        f"{clusters.normalized_mutual_information:.3f}",
        f"{clusters.adjusted_rand_index:.3f}",
    ]


def _show_probe(probe: Probe) -> str:
    sign = "k" if probe.setting == "neighbors" else "penalty"
    return f"{show(probe.accuracy)} {sign} {probe.chosen:g}"


def _unlabeled_row(result: Result) -> list[str]:
    clusters = result.clusters
    return [result.title, f"{result.dimensions:,}", str(clusters.count), f"{clusters.silhouette:.3f}"]


def _verdict(evaluation: Evaluation, name: str, probes: list[Probe]) -> str:
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
