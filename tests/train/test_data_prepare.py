"""One image of any size and mode at the resolution of the networks."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from ganport_train.data import load_images
from ganport_train.data.image_set import prepare
from ganport_train.errors import ConfigError, DataError
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

WHITE, RED = (255, 255, 255), (255, 0, 0)


def pixels(image: Image.Image, resolution: int = 16, background: tuple[int, int, int] = WHITE) -> npt.NDArray[np.uint8]:
    return np.asarray(prepare(image, resolution, background))


def one_color(color: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    return np.full((16, 16, 3), color, np.uint8)


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)  # type: ignore[arg-type]
    return path


@settings(max_examples=40, deadline=None)
@given(
    mode=st.sampled_from(["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "I;16"]),
    width=st.integers(1, 90),
    height=st.integers(1, 90),
    resolution=st.sampled_from([1, 16, 24, 64]),
)
def test_every_size_and_mode_becomes_a_square_of_rgb(mode: str, width: int, height: int, resolution: int) -> None:
    assert pixels(Image.new(mode, (width, height)), resolution).shape == (resolution, resolution, 3)


@pytest.mark.parametrize(
    ("mode", "color", "expected"),
    [
        ("1", 1, (255, 255, 255)),
        ("L", 77, (77, 77, 77)),
        ("RGB", (10, 20, 30), (10, 20, 30)),
        ("CMYK", (0, 255, 255, 0), (255, 0, 0)),
        ("I;16", 65535, (255, 255, 255)),
        ("I;16", 32896, (128, 128, 128)),
        ("I;16", 257, (1, 1, 1)),
        ("LA", (0, 0), (255, 0, 0)),
        ("RGBA", (0, 0, 255, 0), (255, 0, 0)),
        ("RGBA", (0, 0, 255, 255), (0, 0, 255)),
        ("RGBA", (0, 0, 255, 51), (204, 0, 51)),
    ],
)
def test_colors_survive_and_transparency_shows_the_background(
    mode: str, color: int | tuple[int, ...], expected: tuple[int, int, int]
) -> None:
    image = Image.new(mode, (40, 40), color)
    np.testing.assert_array_equal(pixels(image, background=RED), one_color(expected))


@pytest.mark.parametrize("level", [0, 200, 32768, 65535])
def test_the_transparent_level_of_16_bit_gray_shows_the_background_and_its_neighbors_do_not(
    tmp_path: Path, level: int
) -> None:
    values = np.full((16, 16), level, np.uint16)
    values[:, 8:] ^= 1  # the same once scaled to 8 bits
    path = saved(tmp_path / "a.png", Image.fromarray(values), transparency=level)
    gray = round((level ^ 1) * 255 / 65535)
    result = pixels(Image.open(path), background=RED)
    assert result[0, 0].tolist() == [255, 0, 0]
    assert result[0, 15].tolist() == [gray] * 3


def test_a_palette_with_a_transparent_color_shows_the_background(tmp_path: Path) -> None:
    image = Image.new("P", (16, 16), 0)
    image.putpalette([0, 255, 0, 0, 0, 255])
    image.paste(1, (8, 0, 16, 16))
    result = pixels(Image.open(saved(tmp_path / "a.png", image, transparency=0)), background=RED)
    assert result[0, 0].tolist() == [255, 0, 0]
    assert result[0, 15].tolist() == [0, 0, 255]


def test_hidden_colors_leave_no_fringe() -> None:
    """White on transparent black, onto white: naive resizing would draw a gray rim."""
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    image.paste((255, 255, 255, 255), (20, 20, 44, 44))
    assert pixels(image).min() == 255


def test_shrinking_averages_instead_of_picking() -> None:
    stripes = np.zeros((128, 128), np.uint8)
    stripes[:, ::2] = 255
    inner = pixels(Image.fromarray(stripes))[2:-2, 2:-2].astype(int)
    assert np.abs(inner - 127.5).max() < 8


def test_the_middle_square_is_kept() -> None:
    wide = np.zeros((16, 48, 3), np.uint8)
    wide[:, :16, 0] = wide[:, 16:32, 1] = wide[:, 32:, 2] = 255
    for image in (wide, wide.transpose(1, 0, 2)):
        np.testing.assert_array_equal(pixels(Image.fromarray(image)), one_color((0, 255, 0)))


def test_an_image_of_the_right_size_is_left_alone() -> None:
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    np.testing.assert_array_equal(pixels(Image.fromarray(image)), image)


def test_exif_says_which_side_is_up(tmp_path: Path) -> None:
    image = Image.new("RGB", (32, 32), (0, 0, 0))
    image.paste((255, 255, 255), (0, 0, 32, 16))  # white above
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise by 90 degrees to see it upright
    result = pixels(Image.open(saved(tmp_path / "a.png", image, exif=exif)))
    assert result[:, 12:].min() > 200
    assert result[:, :4].max() < 50


def test_an_animation_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (16, 16), color) for color in ((255, 0, 0), (0, 255, 0))]
    path = saved(tmp_path / "a.gif", frames[0], save_all=True, append_images=frames[1:])
    assert load_images(str(path.parent), resolution=16).images[0, 3, 3].tolist() == [255, 0, 0]


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".pgm"])
def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path, suffix: str) -> None:
    ramp = np.tile(np.linspace(0, 65535, 16).astype(np.uint16), (16, 1))
    saved(tmp_path / f"a{suffix}", Image.fromarray(ramp))
    images = load_images(str(tmp_path), resolution=16)
    assert images.images.shape == (1, 16, 16, 1)
    np.testing.assert_array_equal(images.images[0, 0, :, 0], np.rint(ramp[0] / 257))


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pixels_without_an_agreed_range_are_refused(tmp_path: Path, mode: str) -> None:
    saved(tmp_path / "a.tiff", Image.new(mode, (16, 16)))
    with pytest.raises(DataError, match=r"a\.tiff is unreadable .*no agreed range"):
        load_images(str(tmp_path), resolution=16)


def test_channels_are_as_in_the_source_or_as_asked(tmp_path: Path) -> None:
    saved(tmp_path / "gray.png", Image.new("L", (16, 16), 9))
    saved(tmp_path / "palette.png", Image.new("P", (16, 16)))
    source = str(tmp_path)
    assert load_images(source, resolution=16).images.shape == (2, 16, 16, 1)
    assert load_images(source, resolution=16, channels=3).images.shape == (2, 16, 16, 3)
    saved(tmp_path / "red.png", Image.new("RGB", (16, 16), RED))
    assert load_images(source, resolution=16).images.shape == (3, 16, 16, 3)
    luma = load_images(source, resolution=16, channels=1).images
    assert luma.shape == (3, 16, 16, 1)
    assert luma[2, 0, 0, 0] == round(0.299 * 255)


@pytest.mark.parametrize("background", ["whitish", "#12", "#11223344", "", "rgb(1,2)"])
def test_a_background_that_is_no_color_is_refused(background: str) -> None:
    with pytest.raises(ConfigError, match="is no color"):
        load_images("digits", resolution=16, background=background)


def test_a_background_is_a_name_or_a_number(tmp_path: Path) -> None:
    saved(tmp_path / "clear.png", Image.new("RGBA", (20, 20), (0, 0, 0, 0)))
    for background, expected in (("teal", [0, 128, 128]), ("#010203", [1, 2, 3])):
        assert load_images(str(tmp_path), resolution=16, background=background).images[0, 5, 5].tolist() == expected
