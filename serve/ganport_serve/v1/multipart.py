"""The files of a multipart/form-data body (RFC 7578), in their order."""

from email.message import Message
from email.parser import BytesHeaderParser

from ganport_runtime.text import shown

from ganport_serve.problems import bad_field

__all__ = ["boundary_of", "files"]

LONGEST_BOUNDARY = 70  # RFC 2046
LONGEST_HEAD = 4096  # bytes of one part's headers


def boundary_of(content_type: str) -> bytes:
    """What stands between the parts.

    Raises:
        ProblemError: 400; there is none, or one that RFC 2046 does not allow.
    """
    header = Message()
    header["content-type"] = content_type
    boundary = header.get_param("boundary")
    if not isinstance(boundary, str) or not 1 <= len(boundary) <= LONGEST_BOUNDARY or not boundary.isascii():
        raise bad_field(
            "content-type", "multipart/form-data wants a boundary of 1 to 70 ASCII characters in its content-type"
        )
    return boundary.encode()


def files(body: bytes, boundary: bytes, most: int) -> list[bytes]:
    """The content of every file.

    Args:
        body: of the request.
        boundary: from its content-type.
        most: files of one request.

    Raises:
        ProblemError: 400; the body is cut short or broken, holds something else than files, or too many.
    """
    delimiter = b"\r\n--" + boundary
    framed = b"\r\n" + body
    if framed.count(delimiter) > most + 1:
        raise bad_field("body", f"the body has more than {most} parts; send at most {most} images at a time")
    _, *parts, end = framed.split(delimiter)
    if not parts or not end.startswith(b"--"):
        raise bad_field("body", "the multipart body is cut short: its closing boundary is missing; send all of it")
    return [_file(part, number) for number, part in enumerate(parts)]


def _file(part: bytes, number: int) -> bytes:
    """The content of one part."""
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
