"""Says which plans so many images in batches of a size go through: tuning may choose another for each batch size."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ganport_runtime import Plan

__all__ = ["images_by_bucket", "plans_in_use"]


def images_by_bucket(count: int, batch: int) -> dict[int, int]:
    """How many of `count` images, made `batch` at a time, each bucket makes; the one that makes most comes first."""
    from ganport_runtime.buckets import TOP, bucket_of

    found: dict[int, int] = {}
    for size, times in ((batch, count // batch), (count % batch, 1)):
        rest = size % TOP
        for bucket, images in ((TOP, size - rest), (bucket_of(rest), rest)):
            found[bucket] = found.get(bucket, 0) + times * images
    return {bucket: images for bucket, images in sorted(found.items(), key=lambda item: -item[1]) if images}


def plans_in_use(plans: "Mapping[int, Plan]", count: int, batch: int) -> "dict[int, Plan]":
    """The plans that so many images go through, by the first of their buckets; the one that makes most comes first."""
    images: dict[str, int] = {}
    firsts: dict[str, int] = {}
    for bucket, number in images_by_bucket(count, batch).items():
        text = str(plans[bucket])
        firsts.setdefault(text, bucket)
        images[text] = images.get(text, 0) + number
    return {firsts[text]: plans[firsts[text]] for text in sorted(images, key=lambda text: -images[text])}
