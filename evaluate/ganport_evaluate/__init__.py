"""What a discriminator has learned, measured: its features against controls, by probes, clusters and pictures.

    from ganport_evaluate import evaluate, write_report

    evaluation = evaluate(Path("emoji.ganport"), "emoji.zip", projections=True)
    write_report(evaluation, Path("report"))

Held-out images are drawn at random within each class. Near-duplicates in the data (the same drawing in other colors,
frames of one video) then lie on both sides of the split and raise every accuracy, that of the controls too.
"""

from ganport_evaluate.dataset import FeaturesError
from ganport_evaluate.evaluation import Evaluation, evaluate
from ganport_evaluate.report import check_directory, write_report

__all__ = ["Evaluation", "FeaturesError", "check_directory", "evaluate", "write_report"]
