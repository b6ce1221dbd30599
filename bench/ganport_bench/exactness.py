"""From where on images count as those of float32 arithmetic: the gate that every fp32 export passes."""

__all__ = ["EXACT_DB"]

EXACT_DB = 55.0  # mean PSNR; no more than rounding is left
