import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from ganport_evaluate import Evaluation, evaluate, write_report
from ganport_evaluate.dataset import FeaturesError
from ganport_evaluate.measurements import Accuracy, ClassScore
from ganport_evaluate.report import verdicts
from PIL import Image

MakeImages = Callable[..., tuple[npt.NDArray[np.uint8], list[str]]]
FILES = ["accuracy.png", "clusters.png", "features.json", "pca.png", "table.md", "tsne.png"]


@pytest.fixture(scope="module")
def evaluation(bundle: Path, striped_images: MakeImages, tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    images, labels = striped_images(20)
    path = tmp_path_factory.mktemp("data") / "images.npz"
    np.savez(path, images=images, labels=labels)
    return evaluate(bundle, str(path), projections=True)


@pytest.fixture(scope="module")
def unlabeled(bundle: Path, striped_images: MakeImages, tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    path = tmp_path_factory.mktemp("data") / "images.npz"
    np.savez(path, images=striped_images(20)[0])
    return evaluate(bundle, str(path), projections=True)


@pytest.fixture(scope="module")
def report(evaluation: Evaluation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "deep" / "report"
    assert sorted(path.name for path in write_report(evaluation, folder)) == FILES
    return folder


def pixels(path: Path) -> npt.NDArray[np.uint8]:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def test_a_report_holds_document_table_and_figures_and_nothing_else(evaluation: Evaluation, report: Path) -> None:
    assert sorted(path.name for path in report.iterdir()) == FILES
    assert json.loads((report / "features.json").read_text()) == evaluation.to_json()


def test_the_figures_show_something(report: Path) -> None:
    for name in FILES:
        if name.endswith(".png"):
            shown = pixels(report / name)
            assert min(shown.shape[:2]) >= 200
            drawn = (shown < 250).any(axis=2).mean()
            assert 0.005 < drawn < 0.9, name


def test_every_class_has_its_color_in_the_scatter_pictures(report: Path) -> None:
    shown = pixels(report / "pca.png").astype(int)
    for color in ([31, 119, 180], [255, 127, 14], [44, 160, 44]):  # the first three of matplotlib's tab10
        assert (np.abs(shown - color).max(axis=2) < 8).sum() > 30


def test_the_table_has_a_row_for_each_representation_and_the_floor(evaluation: Evaluation, report: Path) -> None:
    lines = (report / "table.md").read_text().splitlines()
    rows = [line.split("|")[1].strip() for line in lines if line.startswith("|")][2:]
    assert rows == ["discriminator", "random discriminator", "raw pixels", "PCA of pixels", "largest class (floor)"]
    assert "45 images to fit on, 15 held out" in lines[0]
    assert "![tsne.png](tsne.png)" in lines
    probe = evaluation.results[0].linear_probe
    assert probe is not None
    assert f"{probe.accuracy.value:.1%} [{100 * probe.accuracy.low:.1f}, " in lines[4]


@pytest.mark.parametrize(
    ("own", "others", "expected"),
    [
        (29, 10, "63.3 points above the best control (random discriminator); the 95 % intervals do not overlap"),
        (9, 28, "63.3 points below the best control (random discriminator); the 95 % intervals do not overlap"),
        (16, 14, "6.7 points above the best control (random discriminator); the 95 % intervals overlap"),
    ],
)
def test_the_verdict_sets_the_discriminator_beside_the_best_control(
    evaluation: Evaluation, own: int, others: int, expected: str
) -> None:
    first, *controls = evaluation.results
    results = [
        dataclasses.replace(result, linear_probe=ClassScore(Accuracy.of(correct, 30), "penalty", 1.0))
        for result, correct in ((first, own), *((control, others) for control in controls))
    ]
    verdict, _ = verdicts(dataclasses.replace(evaluation, results=tuple(results)))
    assert verdict == f"linear probe: the discriminator's features are {expected}"


def test_without_labels_there_is_no_picture_of_accuracies(unlabeled: Evaluation, tmp_path: Path) -> None:
    write_report(unlabeled, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [name for name in FILES if name != "accuracy.png"]
    table = (tmp_path / "table.md").read_text()
    assert "silhouette" in table
    assert "no labels: clusters and pictures only" in table


def test_figures_of_an_earlier_report_do_not_stay_among_those_of_a_new_one(
    evaluation: Evaluation, unlabeled: Evaluation, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("the user's own")
    write_report(evaluation, tmp_path)
    write_report(unlabeled, tmp_path)
    assert not (tmp_path / "accuracy.png").exists()
    assert (tmp_path / "notes.txt").read_text() == "the user's own"


def test_a_file_in_the_place_of_the_folder_is_refused(evaluation: Evaluation, tmp_path: Path) -> None:
    (tmp_path / "report").write_text("mine")
    with pytest.raises(FeaturesError, match="is a file: name a folder"):
        write_report(evaluation, tmp_path / "report")
    assert (tmp_path / "report").read_text() == "mine"


def test_a_write_that_fails_leaves_the_old_file_and_no_other(evaluation: Evaluation, tmp_path: Path) -> None:
    (tmp_path / "features.json").mkdir()  # nothing can be renamed onto it
    with pytest.raises(OSError, match=r"features\.json"):
        write_report(evaluation, tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
