"""One image of any size and mode becomes a square of RGB pixels at the resolution of the networks."""

import numpy as np
from PIL import Image, ImageColor, ImageOps

from ganport_train.errors import ConfigError

Color = tuple[int, int, int]


def parse_color(name: str) -> Color:
    """Red, green and blue of a CSS color name or #rrggbb; anything else raises `ConfigError`."""
    try:
        color = ImageColor.getrgb(name)
    except ValueError:
        color = None
    if color is None or len(color) != 3:
        raise ConfigError(f"--background {name!r} is no color: a CSS name such as white, or #rrggbb")
    return color


def prepare(image: Image.Image, resolution: int, background: Color) -> Image.Image:
    """An RGB image of resolution x resolution pixels.

    Turned upright as its EXIF says; its first frame; transparency laid onto `background` at full size, so that no
    fringe of hidden colors appears; the largest centered square, resized with antialiasing.

    Raises:
        ValueError, OSError, SyntaxError: The image cannot be decoded or its mode has no agreed range of values.
    """
    image.load()
    upright = ImageOps.exif_transpose(_eight_bit(image))
    flat = _flatten(upright, background)
    shrinks = min(flat.size) > resolution
    method = Image.Resampling.LANCZOS if shrinks else Image.Resampling.BICUBIC
    return ImageOps.fit(flat, (resolution, resolution), method)


def _eight_bit(image: Image.Image) -> Image.Image:
    """Gray of 16 bits scaled to 8, not clipped as Pillow's own conversion does; its transparent level becomes alpha."""
    sixteen_bit = image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM"))
    if sixteen_bit:
        values = np.asarray(image).astype(np.uint32)
        gray = ((values * 255 + 32767) // 65535).astype(np.uint8)
        info = dict(image.info)  # where EXIF says which side is up
        transparent = info.pop("transparency", None)  # a level of 16 bits, which no level of 8 stands for alone
        if transparent is not None:
            gray = np.dstack([gray, np.where(values == transparent, 0, 255).astype(np.uint8)])
        scaled = Image.fromarray(gray)
        scaled.info = info
        return scaled
    if image.mode in ("I", "F"):
        raise ValueError(f"mode {image.mode}: 32-bit pixels have no agreed range; save the image with 8 or 16 bits")
    return image


def _flatten(image: Image.Image, background: Color) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    canvas = Image.new("RGBA", image.size, (*background, 255))
    canvas.alpha_composite(image.convert("RGBA"))
    return canvas.convert("RGB")
