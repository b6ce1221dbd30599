"""Images as files: PNG, WebP, .npy and .zip to send, and PNG, JPEG, WebP, .npy, forms and base64 to read."""

import io
import math
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from typing import Any

import numpy as np
from ganport_runtime.errors import one_line, shown
from ganport_train.data.image_set import prepare
from ganport_train.grid import grid, picture
from numpy.lib import format as npy
from numpy.typing import NDArray
from PIL import Image, WebPImagePlugin

from ganport_serve.refusals import ProblemError, bad_field

Images = NDArray[np.uint8]

NPY = "application/x-npy"
LEVEL = 1  # of zlib: a tenth larger than the default level, in two thirds of its time
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the first moment that a .zip can tell


@dataclass(frozen=True)
class Format:
    """One kind of file."""

    media_type: str  # of the answer
    is_picture: bool  # one picture of all images, which people look at, rather than a file that they keep
    # uint8 [n, height, width, channels] and the number of the first image to the file's bytes
    encode: Callable[[Images, int], bytes]


def _png(images: Images, first: int) -> bytes:
    del first
    return _save(grid(images), "PNG", compress_level=LEVEL)


def _webp(images: Images, first: int) -> bytes:
    del first
    return _save(grid(images), "WEBP", lossless=True, exact=True, method=0)  # exact: colors below transparency too


def _zip(images: Images, first: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for index, image in enumerate(images, first):
            name = zipfile.ZipInfo(f"{index:08d}.png", LONG_AGO)
            archive.writestr(name, _save(picture(image), "PNG", compress_level=LEVEL))
    return out.getvalue()


def npy_bytes(array: NDArray[np.generic]) -> bytes:
    """One array as an .npy file."""
    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    return out.getvalue()


def _save(image: Image.Image, kind: str, **options: int) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


FORMATS = {
    "png": Format("image/png", True, _png),
    "webp": Format("image/webp", True, _webp),
    "npy": Format(NPY, False, lambda images, _: npy_bytes(images)),
    "zip": Format("application/zip", False, _zip),
}


_WEBP = WebPImagePlugin  # Pillow imports its plugins when it first needs them: too late without file descriptors
Image.preinit()  # the other ones
FILE_FORMATS = ("PNG", "JPEG", "WEBP")
MOST_PIXELS = 2**24  # of a file that is to be resized
LONGEST_SIDE = 16383  # pixels of a picture, to read or to write; WebP has no longer ones
BYTES_OF_PIXEL = 14  # that decoding holds at most: the file's own pixels, with transparency, on white, without it
WHITE = (255, 255, 255)  # below transparent pixels
# What Pillow raises for files that are damaged, truncated, or made to do harm.
UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, RuntimeError, NotImplementedError, MemoryError, TypeError,
              IndexError, KeyError, AttributeError, ZeroDivisionError, OverflowError, Warning,
              Image.DecompressionBombError)  # fmt: skip


def decoding_bytes(files: list[bytes], shape: tuple[int, int, int], *, resize: bool) -> int:
    """Bytes that `decode` holds at most, from the files' headers."""
    most = 0
    for number, content in enumerate(files):
        with _opened(content, number) as image:
            _check(image, number, shape, resize=resize)
            most = max(most, image.width * image.height)
    return most * BYTES_OF_PIXEL + len(files) * math.prod(shape)


def decode(files: list[bytes], shape: tuple[int, int, int], *, resize: bool) -> NDArray[np.uint8]:
    """Image files as one batch, uint8 [n, height, width, channels].

    Upright as EXIF says, transparency on white, 16 bits to 8; where resized, as `ganport embed` does: the largest
    centered square, with antialiasing.
    """
    height, width, channels = shape
    if height != width or channels not in (1, 3):
        raise bad_field(
            "body", f"this discriminator takes {list(shape)}; only gray or color squares fit in files: send .npy"
        )
    images = np.empty((len(files), *shape), np.uint8)
    for number, content in enumerate(files):
        images[number] = _decode(content, number, shape, resize=resize)
    return images


def _opened(content: bytes, number: int) -> Image.Image:
    try:
        return Image.open(io.BytesIO(content), formats=FILE_FORMATS)
    except UNREADABLE as error:
        raise _unreadable_image(number, error) from None


def _decode(content: bytes, number: int, shape: tuple[int, int, int], *, resize: bool) -> Images:
    with _opened(content, number) as image:
        _check(image, number, shape, resize=resize)
        try:
            color = prepare(image, shape[0], WHITE)
            return np.asarray(color.convert("L"))[..., None] if shape[2] == 1 else np.asarray(color)
        except UNREADABLE as error:
            raise _unreadable_image(number, error) from None


def _unreadable_image(number: int, error: BaseException) -> ProblemError:
    reason = one_line(str(error).split(" <_io")[0], 120) or type(error).__name__
    return bad_field("body", f"image {number} is unreadable ({reason}); send a whole PNG, JPEG or WebP file")


def _check(image: Image.Image, number: int, shape: tuple[int, int, int], *, resize: bool) -> None:
    width, height = image.size
    try:
        is_animated = getattr(image, "is_animated", False)
    except UNREADABLE as error:
        raise _unreadable_image(number, error) from None
    if is_animated:
        raise bad_field("body", f"image {number} is animated; send one of its frames")
    if width * height > MOST_PIXELS or max(width, height) > LONGEST_SIDE:
        limit = f"more than {MOST_PIXELS}, or than {LONGEST_SIDE} along a side"
        raise bad_field("body", f"image {number} has {width} x {height} pixels, {limit}; send a smaller one")
    if not resize and image.size != (shape[1], shape[0]):
        raise bad_field(
            "body",
            f"image {number} has {width} x {height} pixels, wanted {shape[1]} x {shape[0]}; "
            "resize it, or ask with resize=true",
        )


READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
# What numpy raises for headers that are damaged or made to do harm.
BROKEN = (ValueError, TypeError, KeyError, IndexError, AttributeError, SyntaxError, OverflowError, EOFError,
          RecursionError, MemoryError, Warning, struct.error)  # fmt: skip


def npy_array(body: bytes) -> NDArray[Any]:
    """The array, which reads from `body` itself."""
    stream = io.BytesIO(body)
    reader = READERS[_version(stream)]
    try:
        shape, fortran, dtype = reader(stream)
    except BROKEN:  # whose texts quote Python's own objects
        raise _unreadable(
            "its header is malformed; wanted a dictionary of descr (the type), fortran_order and shape"
        ) from None
    if dtype.hasobject:
        raise bad_field("body", "the .npy holds Python objects, which are never read; send plain numbers")
    begin = stream.tell()
    wanted = math.prod(shape) * dtype.itemsize
    if any(size < 0 for size in shape) or len(body) - begin != wanted:
        raise bad_field(
            "body", f"the .npy's header promises {wanted} bytes, {len(body) - begin} follow; send all of it"
        )
    try:
        flat = np.frombuffer(body, dtype, count=math.prod(shape), offset=begin) if wanted else np.empty(0, dtype)
        return flat.reshape(shape, order="F" if fortran else "C")
    except BROKEN:
        raise bad_field(
            "body", f"the .npy's shape {list(shape)[:6]} of {dtype} cannot be; write it with numpy.save"
        ) from None


def _version(stream: io.BytesIO) -> tuple[int, int]:
    try:
        major, minor = npy.read_magic(stream)
    except BROKEN:
        raise _unreadable("it does not begin with the byte 0x93, NUMPY, and a version") from None
    if (major, minor) not in READERS:
        raise _unreadable(f"its version is {major}.{minor}, wanted 1.0 or 2.0")
    return major, minor


def _unreadable(reason: str) -> ProblemError:
    return bad_field("body", f"the body is no .npy that can be read: {reason}; write it with numpy.save")


LONGEST_BOUNDARY = 70  # RFC 2046
LONGEST_HEAD = 4096  # bytes of one part's headers


def boundary_of(content_type: str) -> bytes:
    """What stands between the parts."""
    header = Message()
    header["content-type"] = content_type
    boundary = header.get_param("boundary")
    if not isinstance(boundary, str) or not 1 <= len(boundary) <= LONGEST_BOUNDARY or not boundary.isascii():
        raise bad_field(
            "content-type", "multipart/form-data wants a boundary of 1 to 70 ASCII characters in its content-type"
        )
    return boundary.encode()


def files(body: bytes, boundary: bytes, most: int) -> list[bytes]:
    """The content of every file."""
    delimiter = b"\r\n--" + boundary
    framed = b"\r\n" + body
    if delimiter not in framed:
        raise bad_field("body", "the body does not hold the boundary that its content-type names; send all of it")
    if framed.count(delimiter) > most + 1:
        raise bad_field("body", f"the body has more than {most} parts; send at most {most} images at a time")
    _, *parts, end = framed.split(delimiter)
    if not parts or not end.startswith(b"--"):
        raise bad_field("body", "the multipart body is cut short: its closing boundary is missing; send all of it")
    return [_file(part, number) for number, part in enumerate(parts)]


def _file(part: bytes, number: int) -> bytes:
    blank, newline, rest = part.partition(b"\r\n")
    head, gap, content = (b"\r\n" + rest).partition(b"\r\n\r\n")
    if blank.strip(b" \t") or not newline or not gap or len(head) > LONGEST_HEAD:
        raise bad_field("body", f"part {number} of the multipart body is broken; make it with a library for forms")
    headers = BytesHeaderParser().parsebytes(head[2:] + b"\r\n\r\n")
    name = headers.get_param("name", header="content-disposition")
    if headers.get_content_disposition() != "form-data" or headers.get_filename() is None:
        raise bad_field("body", f"part {number} of the form, {shown(name)}, is no file; send image files alone")
    if headers.get("content-transfer-encoding", "binary").lower() not in ("binary", "8bit"):
        raise bad_field(
            "body", f"part {number} of the form has a content-transfer-encoding; send the bytes as they are"
        )
    return content
