"""Weights go where they belong, all of them, or one line says which do not."""

from pathlib import Path

import pytest
import safetensors.torch
import torch
from ganport_export import ModuleError
from ganport_export.user_module import load_module, load_weights
from torch import Tensor, nn

from tests.export.user_networks import Tied


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1, bias=False))


def save(tensors: dict[str, Tensor], path: Path) -> Path:
    safetensors.torch.save_file(tensors, path)
    return path


def tensors() -> dict[str, Tensor]:
    return {name: torch.full_like(tensor, 2) for name, tensor in network().state_dict().items()}


def test_every_tensor_is_copied(tmp_path: Path) -> None:
    module = network()
    load_weights(module, save(tensors(), tmp_path / "w.safetensors"))
    assert all((tensor == 2).all() for tensor in module.state_dict().values())


def test_half_precision_weights_become_float32(tmp_path: Path) -> None:
    module = network()
    load_weights(module, save({name: t.half() for name, t in tensors().items()}, tmp_path / "w.safetensors"))
    assert module.state_dict()["0.weight"].dtype == torch.float32


def test_misfits_are_listed_in_one_line(tmp_path: Path) -> None:
    saved = tensors()
    del saved["0.bias"], saved["1.running_var"]
    saved |= {"2.bias": torch.zeros(1), "0.weight": torch.zeros(3, 5)}
    module = network()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with pytest.raises(ModuleError) as caught:
        load_weights(module, save(saved, tmp_path / "w.safetensors"))
    message = str(caught.value)
    assert "missing: 0.bias, 1.running_var" in message
    assert "unknown to the module: 2.bias" in message
    assert "of another shape: 0.weight [3, 5] where [3, 2] is wanted" in message
    assert "\n" not in message
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def test_one_name_of_tied_tensors_is_enough_and_none_is_too_few(tmp_path: Path) -> None:
    safetensors.torch.save_model(Tied(), str(tmp_path / "w.safetensors"))
    assert len(safetensors.torch.load_file(tmp_path / "w.safetensors")) == 2
    load_weights(Tied(), tmp_path / "w.safetensors")
    with pytest.raises(ModuleError, match=r"missing: alias.weight, dense.weight"):
        load_weights(Tied(), save({"dense.bias": torch.zeros(3 * 256)}, tmp_path / "none.safetensors"))


@pytest.mark.parametrize("suffix", [".pt", ".BIN"])
def test_pickles_are_not_opened(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"w{suffix}"
    torch.save(tensors(), path)
    with pytest.raises(ModuleError, match=r"is a pickle.*safetensors\.torch\.save_file\(torch\.load\("):
        load_weights(network(), path)


def test_files_that_hold_no_weights(tmp_path: Path) -> None:
    with pytest.raises(ModuleError, match=r"w.safetensors: no such file; give a .safetensors file"):
        load_weights(network(), tmp_path / "w.safetensors")
    with pytest.raises(ModuleError, match="a directory; give"):
        load_weights(network(), tmp_path)
    (tmp_path / "w.safetensors").write_bytes(b"not at all")
    with pytest.raises(ModuleError, match="cannot be read as safetensors"):
        load_weights(network(), tmp_path / "w.safetensors")


def test_nan_is_named(tmp_path: Path) -> None:
    saved = tensors()
    saved["1.running_mean"][1] = torch.nan
    with pytest.raises(ModuleError, match=r"holds NaN or infinity in 1.running_mean"):
        load_weights(network(), save(saved, tmp_path / "w.safetensors"))


@pytest.mark.parametrize(
    ("name", "tensor", "said"),
    [
        ("0.bias", torch.full((3,), 1 + 2j), "of another kind: 0.bias torch.complex64 where torch.float32 is wanted"),
        ("1.num_batches_tracked", torch.tensor(2.5), "1.num_batches_tracked torch.float32 where torch.int64 is wanted"),
        ("0.bias", torch.ones(3).to(torch.float8_e4m3fn), "under 16 bits in 0.bias .*: save them as float32"),
    ],
)
def test_numbers_that_copying_would_change_are_refused(tmp_path: Path, name: str, tensor: Tensor, said: str) -> None:
    module = network()
    before = module.state_dict()[name].clone()
    with pytest.raises(ModuleError, match=said):
        load_weights(module, save(tensors() | {name: tensor}, tmp_path / "w.safetensors"))
    assert torch.equal(module.state_dict()[name], before)


def test_file_that_exits_on_import_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "leaves_on_import.py").write_text("raise SystemExit(3)")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleError, match=r"leaves_on_import cannot be imported: it ends the program by sys.exit\(3\)"):
        load_module("leaves_on_import:make", tmp_path / "w.safetensors")


def test_factory_may_be_a_class_and_gives_a_network_ready_to_run(tmp_path: Path) -> None:
    safetensors.torch.save_model(Tied(), str(tmp_path / "w.safetensors"))
    module = load_module("tests.export.user_networks:Tied", tmp_path / "w.safetensors")
    assert not module.training
    assert not any(parameter.requires_grad for parameter in module.parameters())


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        ("user_networks", "is no factory: write package.module:factory"),
        (":Tied", "is no factory"),
        ("tests.export.user_networks:", "is no factory"),
        ("tests.export.nothing:Tied", "tests.export.nothing cannot be imported: ModuleNotFoundError: No module named"),
        ("tests.export.user_networks:Nothing", "has no Nothing"),
        ("tests.export.bad_networks:not_a_module", "returned str, wanted a torch.nn.Module"),
        ("tests.export.user_networks:SIZE", r"SIZE\(\) failed: TypeError: 'int' object is not callable"),
        ("tests.export.bad_networks:leaving", r"leaving\(\) failed: it ends the program by sys.exit\(3\)"),
        ("tests.export.bad_networks:on_meta", "dense.weight is on device meta, .*: make the module on the CPU"),
        ("tests.export.bad_networks:lazy", "0.weight has no shape yet: give lazy layers their sizes"),
        ("tests.export.bad_networks:scripted", "returned a TorchScript module: return the nn.Module"),
        ("tests.export.bad_networks:Unmovable", "cannot be made ready: NotImplementedError: no float here"),
        ("tests.export.bad_networks:failing", r"failing\(\) failed: RuntimeError: no such size$"),
    ],
)
def test_what_is_no_factory_is_said(tmp_path: Path, factory: str, said: str) -> None:
    with pytest.raises(ModuleError, match=said):
        load_module(factory, tmp_path / "w.safetensors")
