"""Two-dimensional pictures of a representation: PCA, t-SNE, and UMAP where it is installed."""

import importlib.util

import numpy as np
import numpy.typing as npt

from ganport_bench.features.coordinates import Coordinates

Projection = npt.NDArray[np.float32]

TITLES = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}
COMPONENTS = 50  # axes that t-SNE and UMAP see; van der Maaten and Hinton 2008 do the same with 30
PERPLEXITY = 30.0


def has_umap() -> bool:
    """Whether umap-learn is installed; it is in no extra of ganport, for it brings a compiler of its own."""
    return importlib.util.find_spec("umap") is not None


def installed_titles() -> list[str]:
    """What `project` draws here."""
    return [title for method, title in TITLES.items() if method != "umap" or has_umap()]


def project(points: Coordinates, seed: int) -> dict[str, Projection]:
    """float32 [n, 2] for each method that is installed; t-SNE takes by far the longest, minutes for ten thousand."""
    from sklearn.decomposition import PCA  # type: ignore[import-untyped]

    axes = PCA(min(COMPONENTS, points.shape[1], len(points) - 1), random_state=seed).fit_transform(points)
    pictures = {"pca": np.ascontiguousarray(axes[:, :2]), "tsne": _tsne(axes, seed)}
    if has_umap():
        pictures["umap"] = _umap(axes, seed)
    return pictures


def _tsne(axes: npt.NDArray[np.float32], seed: int) -> Projection:
    from sklearn.manifold import TSNE  # type: ignore[import-untyped]

    perplexity = min(PERPLEXITY, (len(axes) - 1) / 3)
    # starting from PCA keeps the large-scale order (Kobak and Berens 2019)
    return np.asarray(TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(axes), np.float32)


def _umap(axes: npt.NDArray[np.float32], seed: int) -> Projection:
    import umap  # type: ignore[import-not-found]

    neighbors = min(15, len(axes) - 1)
    # one job: a fixed seed allows no more, and UMAP warns of it otherwise
    reducer = umap.UMAP(n_components=2, n_neighbors=neighbors, random_state=seed, n_jobs=1)
    return np.asarray(reducer.fit_transform(axes), np.float32)
