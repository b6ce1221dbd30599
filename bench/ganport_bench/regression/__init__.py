"""Compares two documents of `ganport bench`: which changes are real, and which of them are regressions."""

from ganport_bench.regression.compare import Regression, compare_documents
from ganport_bench.regression.documents import read_document
from ganport_bench.regression.report import tables

__all__ = ["Regression", "compare_documents", "read_document", "tables"]
