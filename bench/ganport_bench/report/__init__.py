"""A folder that a person can read: a page that needs nothing else, its figures as PNG and SVG, and the document itself.

index.html      everything, in one file without scripts, for light and dark
figures/        each figure of the page as PNG and as SVG
results.json    the document that all of it was made of
loadgen/        LoadGen's own logs, where scenarios were run: these are there before the report is written
"""

from ganport_bench.report.folder import check_folder
from ganport_bench.report.write import write_report

__all__ = ["check_folder", "write_report"]
