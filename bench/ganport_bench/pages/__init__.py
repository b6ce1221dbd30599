"""Refreshes a page's tables and figures from the documents of `make bench`: `python -m ganport_bench.pages PAGE ...`.

A page holds a pair of comments for each table: `<!-- bench: NAME -->` and `<!-- /bench -->`. What is between them is
written anew where there is a document for it; everything else of the page stays as it is.
"""
