"""Bundles as Triton model repositories: what `ganport export-triton` writes, and a real server to try them on."""
