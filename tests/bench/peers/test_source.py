import io

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
import torch
from ganport_bench.peers.source import NetworkSource, Source
from ganport_runtime import latents


def test_the_reference_is_the_network_in_float64(source: Source) -> None:
    z, pixels = source.reference(seed=4, count=6)
    np.testing.assert_array_equal(z, latents(4, 0, 6, 5))
    with torch.no_grad():
        values = NetworkSource(source.network, 5).module().double().network(torch.from_numpy(z).double()).numpy()  # type: ignore[operator]
    expected = np.clip(np.rint((values + 1) * 127.5), 0, 255).astype(np.uint8).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(pixels, expected)
    assert pixels.std() > 10  # a picture, not one color


def test_a_module_is_a_copy_that_may_be_changed(source: Source) -> None:
    before = source.reference(seed=4, count=2)[1]
    module = source.module()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    np.testing.assert_array_equal(source.reference(seed=4, count=2)[1], before)
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_the_stock_export_is_one_file_that_takes_any_batch(source: Source) -> None:
    model = onnx.load(io.BytesIO(source.stock_export), load_external_data=False)
    assert not any(weight.data_location == onnx.TensorProto.EXTERNAL for weight in model.graph.initializer)
    assert {node.op_type for node in model.graph.node} >= {"ConvTranspose", "BatchNormalization"}, "nothing is folded"
    session = onnxruntime.InferenceSession(source.stock_export, providers=["CPUExecutionProvider"])
    z, pixels = source.reference(seed=9, count=7)
    for count in (1, 7):
        (made,) = session.run(["image"], {"z": z[:count]})
        assert made.dtype == np.uint8
        assert np.abs(made.astype(int) - pixels[:count]).max() <= 1
