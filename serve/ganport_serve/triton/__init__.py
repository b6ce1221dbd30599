"""Bundles as Triton model repositories: what `ganport export-triton` writes."""
