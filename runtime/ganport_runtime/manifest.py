"""The bundle's manifest: one schema, written by export and read by the runtime.

It lists variants (ONNX graphs), engines (compiled graphs) and the probe, each with a file of its own.
"""

import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NoReturn, Self, cast, get_args

from ganport_runtime.errors import BundleError, shown

MAX_INTEGER = 2**31 - 1  # sizes beyond it fit no engine; a larger one is a damaged document


def parse_json(data: bytes) -> object:
    """Parse strictly: UTF-8, no NaN or infinity, no key twice, text that can be written again; else BundleError."""
    try:
        document = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_without_duplicates,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
        json.dumps(document, ensure_ascii=False).encode()  # half a surrogate pair could be neither printed nor opened
    except UnicodeError:
        raise BundleError("the text is not UTF-8") from None
    except RecursionError:
        raise BundleError("the JSON is nested too deeply") from None
    except ValueError as error:  # JSONDecodeError is one, and so is an integer of too many digits
        raise BundleError(f"malformed JSON ({error})") from None
    return document


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} appears twice")
    return result


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits} is too large a number")
    return number


class Fields:
    """One JSON object, read field by field; BundleError where a field is missing or of another kind.

    `where` is the place's name in messages, such as `generator.latent`; empty for the whole document.
    """

    def __init__(self, document: object, where: str = "") -> None:
        self.where = where
        if not isinstance(document, dict):
            raise BundleError(f"{where or 'the document'} is {shown(document)}, wanted an object")
        self.document: dict[str, Any] = document

    def text(self, key: str) -> str:
        """A printable string that is not empty."""
        value = self._value(key)
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            self.refuse(key, "printable text")
        return value

    def one_of(self, key: str, allowed: Sequence[str]) -> str:
        """One of the allowed words."""
        value = self.text(key)
        if value not in allowed:
            self.refuse(key, f"one of {', '.join(allowed)}")
        return value

    def integer(self, key: str) -> int:
        """A whole number from 1 to 2^31 - 1."""
        value = self._value(key)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_INTEGER:
            self.refuse(key, f"a whole number from 1 to {MAX_INTEGER}")
        return value

    def number(self, key: str) -> float:
        """A number, whole or not."""
        value = self._value(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= MAX_INTEGER:
            self.refuse(key, "a number")
        return float(value)

    def mapping(self, key: str) -> dict[str, Any]:
        """An object whose keys are free."""
        return self.fields(key).document

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings."""
        values = self._list(key)
        if not all(isinstance(value, str) and value.isprintable() for value in values):
            self.refuse(key, "a list of text")
        return tuple(values)

    def fields(self, key: str) -> "Fields":
        """The object under `key`."""
        return Fields(self._value(key), self._place(key))

    def optional(self, key: str) -> "Fields | None":
        """The object under `key`, or None where it is absent or null."""
        return None if self.document.get(key) is None else self.fields(key)

    def items(self, key: str) -> "list[Fields]":
        """The objects of the list under `key`."""
        return [Fields(item, f"{self._place(key)}[{index}]") for index, item in enumerate(self._list(key))]

    def refuse(self, key: str, wanted: str) -> NoReturn:
        """Raise the error that says what the field holds and what is wanted."""
        raise BundleError(f"{self._place(key)} is {shown(self.document[key])}, wanted {wanted}")

    def _list(self, key: str) -> list[Any]:
        value = self._value(key)
        if not isinstance(value, list):
            self.refuse(key, "a list")
        return value

    def _value(self, key: str) -> Any:
        if key not in self.document:
            raise BundleError(f"{self._place(key)} is missing")
        return self.document[key]

    def _place(self, key: str) -> str:
        return f"{self.where}.{key}" if self.where else key


PRECISIONS = ("fp32", "fp16", "int8")
PROMISES = ("psnr_db_mean", "psnr_db_worst")
SHA256 = re.compile(r"[0-9a-f]{64}")

Role = Literal["generator", "discriminator"]
FORMAT = 1
DISTRIBUTIONS = ("normal",)


@dataclass(frozen=True)
class Variant:
    """One ONNX graph."""

    id: str  # `{role}-{form}-{precision}`, and for int8 the kind of quantization after it
    role: Role
    file: str  # relative to the bundle, with `/`
    sha256: str
    precision: str  # one of `PRECISIONS`
    form: str  # how the graph is written, such as `deconv` or `phase`
    parity: Mapping[str, Any] = field(default_factory=dict)  # against the network in float64
    fidelity: Mapping[str, Any] = field(default_factory=dict)  # against the fp32 reference; may be empty
    details: Mapping[str, Any] = field(default_factory=dict)  # other fields

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Read and check it; fields of other names become `details`."""
        fidelity = fields.optional("fidelity")
        for figure in PROMISES if fidelity else ():
            cast(Fields, fidelity).number(figure)  # the self-test holds plans to it
        return cls(
            role=cast(Role, fields.one_of("role", get_args(Role))),
            precision=fields.one_of("precision", PRECISIONS),
            form=fields.text("form"),
            parity=fields.mapping("parity"),
            fidelity=fidelity.document if fidelity else {},
            **_of_file(cls, fields),
        )

    def to_json(self) -> dict[str, Any]:
        """The JSON object, with `details` as fields of its own, without empty `fidelity`."""
        document = _to_json(self)
        if not self.fidelity:
            del document["fidelity"]
        return document


@dataclass(frozen=True)
class CompiledEngine:
    """A variant compiled for certain devices by one version of a library."""

    id: str
    variant: str
    file: str
    sha256: str
    library: str
    library_version: str
    compute_capabilities: tuple[str, ...]
    profiles: tuple[Mapping[str, Any], ...]  # shapes it was built for, as the library names them
    details: Mapping[str, Any] = field(default_factory=dict)  # what its backend wrote

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Read and check it; fields of other names become `details`."""
        return cls(
            variant=fields.text("variant"),
            library=fields.text("library"),
            library_version=fields.text("library_version"),
            compute_capabilities=fields.texts("compute_capabilities"),
            profiles=tuple(profile.document for profile in fields.items("profiles")),
            **_of_file(cls, fields),
        )

    @property
    def precision(self) -> str:
        """The precision that its `details` say, or `unknown`."""
        return str(self.details.get("precision", "unknown"))

    def to_json(self) -> dict[str, Any]:
        """The JSON object, with `details` as fields of its own."""
        return _to_json(self)


Entry = Variant | CompiledEngine


@dataclass(frozen=True)
class Probe:
    """What every plan must be able to make: `images` latents with the float64 network's pixels, in an npz file."""

    file: str
    sha256: str
    images: int

    @property
    def id(self) -> str:
        """What lists of files call it."""
        return "probe"


def _of_file(kind: type[Entry], fields: Fields) -> dict[str, Any]:
    known = kind.__dataclass_fields__.keys() - {"details"}
    details = {key: value for key, value in fields.document.items() if key not in known}
    return {"id": fields.text("id"), "file": _file(fields), "sha256": _sha256(fields), "details": details}


def _to_json(entry: Entry) -> dict[str, Any]:
    document: dict[str, Any] = asdict(entry)
    details: dict[str, Any] = document.pop("details")
    twice = sorted(details.keys() & document.keys())
    if twice:
        raise ValueError(f"details of {entry.id} repeat the fields {', '.join(twice)}")
    return document | details


def _sha256(fields: Fields) -> str:
    digest = fields.text("sha256")
    if not SHA256.fullmatch(digest):
        fields.refuse("sha256", "64 lowercase hexadecimal digits")
    return digest


def _file(fields: Fields) -> str:
    """A path inside the bundle: relative, with `/` alone between its parts, none of them `.` or `..`."""
    file = fields.text("file")
    if "\\" in file or ":" in file or any(part in ("", ".", "..") for part in file.split("/")):
        fields.refuse("file", "a path inside the bundle, relative, with / between its parts")
    return file


@dataclass(frozen=True)
class LatentInfo:
    """The generator's input: vectors of `dim` float32 numbers drawn from `distribution` (`normal`: N(0, 1))."""

    dim: int
    distribution: str = "normal"


@dataclass(frozen=True)
class ImageInfo:
    """One image: uint8 [height, width, channels], in pixels."""

    height: int
    width: int
    channels: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return (self.height, self.width, self.channels)


@dataclass(frozen=True)
class FeaturesInfo:
    """The discriminator's feature vector: `dim` float32 numbers an image, made by `pooling`."""

    dim: int
    pooling: str


@dataclass(frozen=True)
class GeneratorInfo:
    """What goes into the generator and what comes out."""

    latent: LatentInfo
    image: ImageInfo


@dataclass(frozen=True)
class DiscriminatorInfo:
    """What goes into the discriminator and what comes out."""

    image: ImageInfo
    features: FeaturesInfo


def _image(fields: Fields) -> ImageInfo:
    return ImageInfo(fields.integer("height"), fields.integer("width"), fields.integer("channels"))


def _generator(fields: Fields) -> GeneratorInfo:
    latent = fields.fields("latent")
    info = LatentInfo(latent.integer("dim"), latent.one_of("distribution", DISTRIBUTIONS))
    return GeneratorInfo(info, _image(fields.fields("image")))


def _discriminator(fields: Fields) -> DiscriminatorInfo:
    features = fields.fields("features")
    return DiscriminatorInfo(
        _image(fields.fields("image")), FeaturesInfo(features.integer("dim"), features.text("pooling"))
    )


@dataclass(frozen=True)
class Manifest:
    """Everything that `manifest.json` says."""

    name: str
    created: str  # ISO 8601 in UTC
    toolchain: Mapping[str, str]  # the version of every package that made it
    training: Mapping[str, Any]  # settings, steps and data digest of the training run; free keys
    generator: GeneratorInfo
    discriminator: DiscriminatorInfo | None
    variants: tuple[Variant, ...]
    engines: tuple[CompiledEngine, ...] = ()
    probe: Probe | None = None

    @classmethod
    def from_json(cls, document: object) -> Self:
        """Read a parsed `manifest.json`; a BundleError names the field that is wrong."""
        fields = Fields(document)
        _check_format(fields)
        discriminator, probe = fields.optional("discriminator"), fields.optional("probe")
        toolchain = fields.fields("toolchain")
        manifest = cls(
            name=fields.text("name"),
            created=fields.text("created"),
            toolchain={package: toolchain.text(package) for package in toolchain.document},
            training=fields.mapping("training"),
            generator=_generator(fields.fields("generator")),
            discriminator=None if discriminator is None else _discriminator(discriminator),
            variants=tuple(Variant.read(item) for item in fields.items("variants")),
            engines=tuple(CompiledEngine.read(item) for item in fields.items("engines")),
            probe=None if probe is None else Probe(_file(probe), _sha256(probe), probe.integer("images")),
        )
        manifest.check()
        return manifest

    def to_json(self) -> dict[str, Any]:
        """The JSON object of `manifest.json`, in the order in which it is written."""
        document = {"format": FORMAT, **asdict(self)}
        document["variants"] = [variant.to_json() for variant in self.variants]
        document["engines"] = [engine.to_json() for engine in self.engines]
        if self.probe is None:
            del document["probe"]
        return document

    @property
    def files(self) -> tuple[Entry | Probe, ...]:
        """Everything that has a file: variants, engines, the probe."""
        return (*self.variants, *self.engines, *(() if self.probe is None else (self.probe,)))

    def check(self) -> None:
        """Raise BundleError where two entries share an id or a file, or a variant or a signature is missing."""
        _check_unique("id", [file.id for file in self.files])
        _check_unique("file", [file.file for file in self.files])
        roles = {variant.role for variant in self.variants}
        if "generator" not in roles:
            raise BundleError("variants holds no generator")
        if ("discriminator" in roles) != (self.discriminator is not None):
            raise BundleError("discriminator and variants disagree: one is there without the other")
        ids = {variant.id for variant in self.variants}
        for engine in self.engines:
            if engine.variant not in ids:
                raise BundleError(f"engine {engine.id!r} is built from variant {engine.variant!r}, which is not listed")


def _check_format(fields: Fields) -> None:
    found = fields.document.get("format")
    if type(found) is not int or found != FORMAT:
        given = "missing" if found is None else shown(found)
        raise BundleError(f"format is {given}, this version of ganport reads format {FORMAT}: update ganport")


def _check_unique(what: str, values: Collection[str]) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise BundleError(f"two entries have the {what} {value!r}")
        seen.add(value)
