"""Images to train on, from wherever they lie: `load_images`. No PyTorch here."""

from ganport_train.data.image_set import ImageSet, load_images

__all__ = ["ImageSet", "load_images"]
