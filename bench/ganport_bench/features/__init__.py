"""What a discriminator has learned, measured: its features against controls, by probes, clusters and pictures.

    from ganport_bench.features import evaluate, write_report

    evaluation = evaluate(Path("emoji.ganport"), "emoji.zip", projections=True)
    write_report(evaluation, Path("report"))

Held-out images are drawn at random within each class. Near-duplicates in the data (the same drawing in other
colors, frames of one video) then lie on both sides of the split and raise every accuracy, the controls' too: that is
the data's matter, and nothing here can see it.
"""

from ganport_bench.features.evaluation import Evaluation, evaluate
from ganport_bench.features.report import check_directory, write_report

__all__ = ["Evaluation", "check_directory", "evaluate", "write_report"]
