from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from ganport_evaluate.dataset import FeaturesError
from ganport_evaluate.random_weights import embed, with_random_weights
from ganport_evaluate.representations import coordinates
from onnx import helper, numpy_helper
from scipy.spatial.distance import pdist  # type: ignore[import-untyped]


@pytest.fixture
def model(bundle: Path) -> bytes:
    return (bundle / "discriminator.onnx").read_bytes()


def tensors(model: bytes) -> dict[str, npt.NDArray[np.float32]]:
    graph = onnx.load_model_from_string(model).graph
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}


def rescaled(model: bytes, **factors: float) -> bytes:
    proto = onnx.load_model_from_string(model)
    for tensor in proto.graph.initializer:
        if tensor.name in factors:
            scaled = numpy_helper.to_array(tensor) * np.float32(factors[tensor.name])
            tensor.CopyFrom(numpy_helper.from_array(scaled, tensor.name))
    return bytes(proto.SerializeToString())


def test_weights_are_drawn_anew_and_biases_are_zero(model: bytes) -> None:
    before, after = tensors(model), tensors(with_random_weights(model, seed=0))
    for name, fan_in in (("w1", 1 * 16), ("w2", 4 * 16), ("w3", 128)):
        assert after[name].shape == before[name].shape
        assert np.abs(np.corrcoef(after[name].ravel(), before[name].ravel())[0, 1]) < 0.3
        expected = (2 / fan_in) ** 0.5
        assert after[name].std() == pytest.approx(expected, rel=4 / after[name].size ** 0.5)
    for name in ("b1", "b2", "b3"):
        assert not after[name].any()


def test_what_is_no_weight_stays(model: bytes) -> None:
    before, after = (onnx.load_model_from_string(m).graph for m in (model, with_random_weights(model, seed=0)))
    assert list(after.node) == list(before.node)
    assert tensors(with_random_weights(model, seed=0))["half"] == 127.5


def test_the_seed_decides(model: bytes) -> None:
    first, second, other = (with_random_weights(model, seed) for seed in (1, 1, 2))
    assert first == second
    assert not np.array_equal(tensors(first)["w1"], tensors(other)["w1"])


def test_the_deviation_that_weights_are_drawn_with_makes_no_difference(
    model: bytes, stripes_array: npt.NDArray[np.uint8]
) -> None:
    """Why He's deviation stands for any other: zero biases make every layer's scale a factor of its features."""
    he = with_random_weights(model, seed=0)
    other = rescaled(he, w1=0.02 / (2 / 16) ** 0.5, w2=5.0)
    train = np.arange(len(stripes_array))
    plain, scaled = embed(he, stripes_array), embed(other, stripes_array)
    assert not np.allclose(plain, scaled, rtol=0.1)
    expected = pdist(coordinates(plain, train, "he"))
    np.testing.assert_allclose(pdist(coordinates(scaled, train, "other")), expected, atol=1e-4)


def test_every_image_gets_its_own_features_whatever_the_batch(
    model: bytes, stripes_array: npt.NDArray[np.uint8]
) -> None:
    together = embed(model, stripes_array)
    assert together.shape == (len(stripes_array), 192)
    alone = np.concatenate([embed(model, image[None]) for image in stripes_array[62:67]])
    np.testing.assert_allclose(together[62:67], alone, atol=1e-5)


@pytest.fixture
def stripes_array(stripes: str) -> npt.NDArray[np.uint8]:
    with np.load(stripes) as archive:
        images: npt.NDArray[np.uint8] = archive["images"]
    return images


def _with_prelu(proto: onnx.ModelProto) -> None:
    slopes = numpy_helper.from_array(np.full((4, 1, 1), 0.1, np.float32), "slopes")
    proto.graph.initializer.append(slopes)
    node = next(node for node in proto.graph.node if node.output[0] == "a1")
    node.CopyFrom(helper.make_node("PRelu", ["c1", "slopes"], ["a1"]))


def _with_matmul(proto: onnx.ModelProto) -> None:
    node = next(node for node in proto.graph.node if node.op_type == "Gemm")
    node.CopyFrom(helper.make_node("MatMul", ["f2", "w3"], ["column"]))


@pytest.mark.parametrize(("change", "named"), [(_with_prelu, r"PRelu \(slopes\)"), (_with_matmul, r"MatMul \(w3\)")])
def test_a_graph_with_learned_weights_of_another_kind_is_refused(
    model: bytes, change: Callable[[onnx.ModelProto], None], named: str
) -> None:
    proto = onnx.load_model_from_string(model)
    change(proto)
    with pytest.raises(FeaturesError, match=named):
        with_random_weights(proto.SerializeToString(), seed=0)
