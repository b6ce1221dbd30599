"""An engine that fails on a batch, on the real Triton server: its clients hear of it, and the next batch runs."""

from pathlib import Path

import numpy as np
import pytest
import tritonclient.http as triton_http  # type: ignore[import-untyped]
from ganport_runtime import Generator
from ganport_serve.triton.repository import export_repository
from onnx import ModelProto, TensorProto, helper, numpy_helper
from triton_server import find_tritonserver, running
from tritonclient.utils import InferenceServerException  # type: ignore[import-untyped]

from tests.serve.triton.conftest import PYTHON
from tests.serve.triton.test_server import tensors
from tests.support.bundles import Weights, generator_graph, make_manifest, write_manifest, write_variant

pytestmark = pytest.mark.slow  # starts the real server
LIMIT = 1000.0


def fragile_graph(weights: Weights) -> ModelProto:
    """The generator, which looks up a factor of 1 where no latent is over the limit, and else past a table's end."""
    model = generator_graph(weights)
    guard = [
        helper.make_node("ReduceMax", ["z"], ["most"]),
        helper.make_node("Div", ["most", "limit"], ["share"]),
        helper.make_node("Cast", ["share"], ["place"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "place"], ["factor"]),
        helper.make_node("Mul", ["z", "factor"], ["guarded"]),
    ]
    matmul, *rest = model.graph.node
    matmul.input[0] = "guarded"
    del model.graph.node[:]
    model.graph.node.extend([*guard, matmul, *rest])
    for name, value in (("limit", np.float32(LIMIT)), ("table", np.ones(1, np.float32))):
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return model


def test_a_batch_that_fails_is_said_and_the_next_one_runs(tmp_path: Path, weights: Weights) -> None:
    reason = find_tritonserver()
    if isinstance(reason, str):
        pytest.skip(reason)
    bundle = tmp_path / "fragile.ganport"
    bundle.mkdir()
    variant = write_variant(bundle, "generator", fragile_graph(weights))
    write_manifest(bundle, make_manifest(weights, [variant], discriminator=False).to_json())
    export_repository(bundle, tmp_path / "models", PYTHON)
    good = np.ones((2, 10), np.float32)
    with Generator.open(bundle, threads=1) as generator, running(tmp_path / "models") as addresses:
        with triton_http.InferenceServerClient(addresses.http) as client:
            with pytest.raises(InferenceServerException) as failure:
                client.infer("ganport_generator", tensors(triton_http, {"z": good * np.float32(5 * LIMIT)}))
            answer = client.infer("ganport_generator", tensors(triton_http, {"z": good}))
        log = addresses.log.read_text(encoding="utf-8")
        assert np.array_equal(answer.as_numpy("image"), generator(good))
    assert failure.value.status() == "500"
    assert "the engine failed on this batch; the server's log says why" in str(failure.value)
    assert "Gather" not in str(failure.value)
    assert any("a batch of 2 failed: " in line and "Gather" in line for line in log.splitlines())
