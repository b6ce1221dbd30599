"""Moved to `ganport_runtime.batches`."""

from ganport_runtime.batches import BUCKETS, TOP, bucket_of, padded, parts

__all__ = ["BUCKETS", "TOP", "bucket_of", "padded", "parts"]
