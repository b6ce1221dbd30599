"""Engines that several tests look at, built once: by a real builder, on a machine without a GPU."""

from collections.abc import Mapping

import pytest
from ganport_export.engines import BuiltEngine, build_engines

from tests.support.typed_graphs import source


@pytest.fixture(scope="session")
def engines() -> Mapping[str, BuiltEngine]:
    """One engine of each precision, by the precision's name."""
    sources = [source("deconv", "fp32"), source("deconv", "fp16"), source("phase", "s8s8")]
    built = build_engines(sources, ["tensorrt-rtx"], pytest.fail)
    return {str(one.engine.details["precision"]): one for one in built}
