"""The two models as the protocol sees them: names, tensors, and what a request may declare."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from ganport_runtime.text import shown

from ganport_serve.engine import Served
from ganport_serve.errors import UnknownModelError, no_discriminator
from ganport_serve.problems import bad_field
from ganport_serve.v2.datatypes import INTEGERS, dtype_of

__all__ = ["ANY", "VERSION", "Declared", "Model", "TensorSpec", "models", "named"]

VERSION = "1"
ANY = -1  # the protocol's sign for a dimension that a request chooses


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a model.

    Attributes:
        name: of the tensor.
        datatypes: those that are taken; the first is the one that metadata names.
        shape: `ANY` where the request chooses.
        optional: whether a request may leave it out.
    """

    name: str
    datatypes: tuple[str, ...]
    shape: tuple[int, ...]
    optional: bool = False

    def fits(self, shape: Sequence[int]) -> bool:
        """Whether a tensor may have this shape: of one row or more."""
        if len(shape) != len(self.shape):
            return False
        return all(
            given > 0 if wanted == ANY else given == wanted for given, wanted in zip(shape, self.shape, strict=True)
        )

    @property
    def wanted(self) -> str:
        """Its shape as people read it."""
        return f"[{', '.join('n' if size == ANY else str(size) for size in self.shape)}]"


@dataclass(frozen=True, slots=True)
class Declared:
    """An input tensor as a request declares it.

    Attributes:
        name: of the tensor.
        datatype: the protocol's name.
        shape: numbers of 0 or more.
        field: where it stands in the request: `inputs[0]`.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    field: str


@dataclass(frozen=True, eq=False)  # compared and hashed as itself, since caches look it up with every request
class Model:
    """One model.

    Attributes:
        name: `generator` or `discriminator`.
        inputs: every tensor that it takes.
        outputs: every tensor that it gives.
        choices: sets of inputs that make a whole request: those that must be there, then those that may.
        wanted: the same in words.
    """

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    choices: tuple[tuple[frozenset[str], frozenset[str]], ...]
    wanted: str

    def admit(self, tensors: Sequence[Declared]) -> None:
        """Check what a request declares: names, datatypes, shapes, and that it is one whole request.

        Raises:
            ProblemError: with the field that is wrong.
        """
        names: set[str] = set()
        for tensor in tensors:
            if tensor.name in names:
                raise bad_field(f"{tensor.field}.name", f"the input {shown(tensor.name)} is given twice, wanted once")
            names.add(tensor.name)
            self._admit(tensor)
        if not any(needed <= names <= needed | allowed for needed, allowed in self.choices):
            given = " and ".join(sorted(names)) or "none"
            raise bad_field("inputs", f"the inputs are {given}, wanted {self.wanted}")

    def outputs_named(self, names: Sequence[str]) -> tuple[TensorSpec, ...]:
        """The outputs that a request asks for; all where it names none.

        Raises:
            ProblemError: it names one that is not there, or one twice.
        """
        known = {spec.name: spec for spec in self.outputs}
        for index, name in enumerate(names):
            if name not in known:
                raise bad_field(
                    f"outputs[{index}].name", f"there is no output {shown(name)}, wanted {' or '.join(known)}"
                )
            if name in names[:index]:
                raise bad_field(f"outputs[{index}].name", f"the output {shown(name)} is asked for twice, wanted once")
        return tuple(known[name] for name in names) if names else self.outputs

    def _admit(self, tensor: Declared) -> None:
        spec = next((spec for spec in self.inputs if spec.name == tensor.name), None)
        if spec is None:
            known = ", ".join(spec.name for spec in self.inputs)
            raise bad_field(
                f"{tensor.field}.name", f"{self.name} has no input {shown(tensor.name)}, wanted one of {known}"
            )
        dtype_of(tensor.datatype, f"{tensor.field}.datatype")
        if tensor.datatype not in spec.datatypes:
            wanted = " or ".join(spec.datatypes)
            raise bad_field(f"{tensor.field}.datatype", f"{spec.name} is {tensor.datatype}, wanted {wanted}")
        if not spec.fits(tensor.shape):
            given = shown(list(tensor.shape))
            raise bad_field(f"{tensor.field}.shape", f"the shape of {spec.name} is {given}, wanted {spec.wanted}")


def models(served: Served) -> Mapping[str, Model]:
    """The models of a bundle by name: `generator`, and `discriminator` where it has one."""
    return _models(served.latent_dim, served.image_shape, served.feature_dim)


def named(served: Served, name: str, version: str | None) -> Model:
    """The model of this name; no version means the only one.

    Raises:
        UnknownModelError: there is no such model or version.
    """
    found = models(served)
    model = found.get(name)
    if model is None:
        if name == "discriminator":
            raise no_discriminator(served.name)
        raise UnknownModelError(f"there is no model {shown(name)}, wanted {' or '.join(found)}")
    if version and version != VERSION:
        raise UnknownModelError(f"{name} has no version {shown(version)}, wanted {VERSION}")
    return model


@lru_cache(maxsize=16)
def _models(latent_dim: int, image_shape: tuple[int, int, int], feature_dim: int | None) -> Mapping[str, Model]:
    image = TensorSpec("image", ("UINT8",), (ANY, *image_shape))
    found = {"generator": _generator(latent_dim, image)}
    if feature_dim is not None:
        found["discriminator"] = _discriminator(feature_dim, image)
    return MappingProxyType(found)


def _generator(latent_dim: int, image: TensorSpec) -> Model:
    inputs = (
        TensorSpec("z", ("FP32",), (ANY, latent_dim), optional=True),
        TensorSpec("seed", INTEGERS, (1,), optional=True),
        TensorSpec("count", ("UINT32", *(name for name in INTEGERS if name != "UINT32")), (1,), optional=True),
        TensorSpec("start", INTEGERS, (1,), optional=True),
    )
    choices = (
        (frozenset({"z"}), frozenset[str]()),
        (frozenset({"seed"}), frozenset({"count", "start"})),
    )
    wanted = "either z alone, or seed with an optional count and start"
    return Model("generator", inputs, (image,), choices, wanted)


def _discriminator(feature_dim: int, image: TensorSpec) -> Model:
    outputs = (TensorSpec("logit", ("FP32",), (ANY,)), TensorSpec("features", ("FP32",), (ANY, feature_dim)))
    return Model("discriminator", (image,), outputs, ((frozenset({"image"}), frozenset[str]()),), "image")
