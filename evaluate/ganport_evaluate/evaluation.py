"""The whole evaluation of a bundle's discriminator: one split, every representation, the same measurements on each."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from ganport_runtime import Bundle
from ganport_runtime.manifest import ImageInfo
from ganport_train.data import load_images

from ganport_evaluate.dataset import Dataset, FeaturesError, split
from ganport_evaluate.measurements import (
    Accuracy,
    ClassScore,
    Clusters,
    Projection,
    cluster,
    has_umap,
    installed_titles,
    linear_probe,
    majority,
    nearest_neighbors,
    project,
)
from ganport_evaluate.representations import Representation, representations

FORMAT = 1
METHODS = {
    "scaling": "every feature to mean 0, deviation 1 over the training images, beyond 5 set to 5; one factor for all",
    "linear_probe": "ridge classifier; penalty by leave-one-out on the training images",
    "nearest_neighbors": "Euclidean; number of neighbors by cross-validation on the training images",
    "clusters": "k-means on all images",
    "intervals": "Wilson, 95 %",
}
PACKAGES = ("numpy", "scikit-learn", "scipy", "onnx", "onnxruntime")


@dataclass(frozen=True)
class RepresentationResult:
    """What was measured on one representation; both probes are None without labels."""

    name: str
    title: str
    is_control: bool
    dimensions: int
    linear_probe: ClassScore | None
    nearest_neighbors: ClassScore | None
    clusters: Clusters
    projections: Mapping[str, Projection] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluation:
    """Everything that was measured on one bundle with one source of images."""

    bundle: str  # its path
    bundle_digest: str  # of its manifest
    data: str  # the source
    data_digest: str  # of pixels and labels
    seed: int  # of the split, the random weights and every algorithm that draws numbers
    dataset: Dataset
    floor: Accuracy | None  # of always naming the largest class; None without labels
    results: tuple[RepresentationResult, ...]  # the discriminator first, then the controls
    notes: tuple[str, ...]  # what was left out, what could not be measured and why

    def to_json(self) -> dict[str, Any]:
        """The document: everything but images and pictures."""
        labels = self.dataset.labels
        counts = [] if labels is None else np.bincount(labels).tolist()
        return {
            "format": FORMAT,
            "bundle": {"path": self.bundle, "digest": self.bundle_digest},
            "data": {"source": self.data, "digest": self.data_digest, "images": len(self.dataset)},
            "classes": dict(zip(self.dataset.class_names, counts, strict=True)),
            "split": {"train": len(self.dataset.train), "held_out": len(self.dataset.test)},
            "seed": self.seed,
            "methods": METHODS,
            "majority_class": None if self.floor is None else asdict(self.floor),
            "representations": [_result_to_json(result) for result in self.results],
            "notes": list(self.notes),
            "versions": {package: version(package) for package in PACKAGES},
        }


def evaluate(
    bundle: Path,
    data: str,
    *,
    seed: int = 0,
    projections: bool = False,
    background: str = "white",
    skip_bad: bool = False,
    on_step: Callable[[str], None] = lambda _step: None,
) -> Evaluation:
    """Measure the features of a bundle's discriminator, and the controls, on a source of images.

    Every representation gets the same split, scaling and grids of settings, chosen from in the same way. Features are
    held in memory: thousands of images, not millions. `projections` draws 2-D pictures too, which takes longer than all
    the rest; `background` and `skip_bad` are those of `load_images`; `on_step` is called with a few words before each
    step. Raises `FeaturesError`, `BundleError` or `DataError` where the bundle or the images will not do.
    """
    opened = Bundle.open(bundle)
    image = _input_image(opened)
    on_step("images")
    images = load_images(
        data, resolution=image.height, channels=image.channels, background=background, skip_bad=skip_bad
    )
    dataset = split(images, seed)
    results = tuple(
        _measure(representation, dataset, seed, on_step, projections=projections)
        for representation in representations(opened, dataset, seed, on_step)
    )
    floor = None if dataset.labels is None else majority(dataset)
    notes = (*dataset.notes, *_notes(dataset, projections=projections))
    return Evaluation(str(bundle), opened.digest, data, images.digest, seed, dataset, floor, results, notes)


def _input_image(bundle: Bundle) -> ImageInfo:
    discriminator = bundle.manifest.discriminator
    if discriminator is None:
        raise FeaturesError(
            f"{bundle.path} has no discriminator, and features are the discriminator's: "
            "export a run directory (ganport export RUN --out BUNDLE), which brings it along"
        )
    image = discriminator.image
    if image.height != image.width or image.channels not in (1, 3):
        raise FeaturesError(
            f"{bundle.path}: its discriminator takes images of {image.height}x{image.width}x{image.channels}; "
            "wanted square ones of 1 or 3 channels"
        )
    return image


def _measure(
    representation: Representation, dataset: Dataset, seed: int, on_step: Callable[[str], None], *, projections: bool
) -> RepresentationResult:
    title, points = representation.title, representation.points
    linear = neighbors = None
    if dataset.labels is not None:
        on_step(f"{title}: linear probe")
        linear = linear_probe(points, dataset)
        on_step(f"{title}: nearest neighbors")
        neighbors = nearest_neighbors(points, dataset, seed)
    on_step(f"{title}: k-means")
    clusters = cluster(points, dataset, seed, title)
    drawn = {}
    if projections:
        on_step(f"{title}: {', '.join(installed_titles())}")
        drawn = project(points, seed)
    about = (representation.name, title, representation.is_control, representation.dimensions)
    return RepresentationResult(*about, linear, neighbors, clusters, drawn)


def _notes(dataset: Dataset, *, projections: bool) -> list[str]:
    notes = []
    if dataset.labels is None:
        notes.append("the images have no labels: clusters and pictures only, no accuracies")
    if not projections:
        notes.append("no 2-D pictures: t-SNE takes time, so they are drawn only for --report DIR")
    elif not has_umap():
        notes.append("no UMAP picture: umap-learn is not installed (pip install umap-learn)")
    return notes


def _result_to_json(result: RepresentationResult) -> dict[str, Any]:
    clusters = asdict(result.clusters)
    clusters.pop("assignment")
    return {
        **{name: getattr(result, name) for name in ("name", "title", "is_control", "dimensions")},
        "linear_probe": _score_to_json(result.linear_probe),
        "nearest_neighbors": _score_to_json(result.nearest_neighbors),
        "clusters": clusters,
    }


def _score_to_json(score: ClassScore | None) -> dict[str, Any] | None:
    return None if score is None else {"accuracy": asdict(score.accuracy), score.setting: score.chosen}
