"""Reads out of a TensorRT-RTX engine what it will run: it holds its programs, one a profile, as text.

The text is not a documented format. It is evidence that no driver is needed for, of the engine and not of what was
asked for; where it is not found, nothing is concluded from that. Found in engines of 1.7.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from ganport_export.engines.products import CONVOLUTION, DECONVOLUTION, MATRIX_PRODUCT, Products

__all__ = ["Programs", "read_programs"]

START = b"header {\n"
END = b"\0"
KINDS = {"corrltn": CONVOLUTION, "deconvolution": DECONVOLUTION, "fully_connected": MATRIX_PRODUCT}
PRECISIONS = {"float": "fp32", "half": "fp16", "bfloat16": "bf16", "int8": "int8"}

TENSOR = re.compile(r'tensor=\{.*? name="([^"]*)".*? type=(\w+)')
PRODUCT = re.compile(rf'^\s*({"|".join(KINDS)})=\{{ name=.*? input=\{{"([^"]*)"', re.MULTILINE)
TARGETS = re.compile(r"accelerators=\{([^}*]*)\}")
TF32 = re.compile(r"\btf32=(\d)")


@dataclass(frozen=True)
class Programs:
    """What the programs of an engine say, all profiles together.

    Args:
        products: their products; the precision is that of the data that a product reads.
        compute_capabilities: what they were compiled for, such as `8.6`.
        tf32: whether float32 products may be rounded to TF32.
    """

    products: Products
    compute_capabilities: frozenset[str]
    tf32: bool


def read_programs(engine: bytes) -> Programs | None:
    """The programs in an engine, or None where none is found."""
    texts = list(_texts(engine))
    if not texts:
        return None
    targets = {name for text in texts for targets in TARGETS.findall(text) for name in targets.split()}
    return Programs(
        products=sum((_products(text) for text in texts), Counter()),
        compute_capabilities=frozenset(str(re.sub(r"sm(\d+)(\d)$", r"\1.\2", name)) for name in targets),
        tf32=any(flag != "0" for text in texts for flag in TF32.findall(text)),
    )


def _texts(engine: bytes) -> Iterator[str]:
    start = engine.find(START)
    while start >= 0:
        end = engine.find(END, start)
        yield engine[start : end if end >= 0 else None].decode("latin-1")
        start = engine.find(START, start + len(START))


def _products(text: str) -> Counter[tuple[str, str]]:
    types: dict[str, str] = dict(TENSOR.findall(text))
    read = ((KINDS[kind], types.get(tensor, "unknown")) for kind, tensor in PRODUCT.findall(text))
    return Counter((kind, PRECISIONS.get(data, data)) for kind, data in read)
