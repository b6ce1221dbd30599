"""The bundle's manifest: one schema, written by export and read by the runtime.

It lists variants (ONNX graphs), engines (compiled graphs) and the probe, each with a file of its own.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self, cast, get_args

from ganport_runtime.errors import BundleError, shown
from ganport_runtime.fields import Fields

PRECISIONS = ("fp32", "fp16", "int8")
PROMISES = ("psnr_db_mean", "psnr_db_worst")
SHA256 = re.compile(r"[0-9a-f]{64}")

Role = Literal["generator", "discriminator"]
FORMAT = 1
DISTRIBUTIONS = ("normal",)


@dataclass(frozen=True)
class Variant:
    """One ONNX graph.

    Attributes:
        id: `{role}-{form}-{precision}`, and for int8 the kind of quantization after it.
        role: `generator` or `discriminator`.
        file: relative to the bundle, with `/`.
        sha256: the file's digest.
        precision: one of `PRECISIONS`.
        form: how the graph is written, such as `deconv` or `phase`.
        parity: figures against the network in float64.
        fidelity: figures against the bundle's fp32 reference, on fresh latents; empty where there are none.
        details: whatever else the manifest says of it.
    """

    id: str
    role: Role
    file: str
    sha256: str
    precision: str
    form: str
    parity: Mapping[str, Any] = field(default_factory=dict)
    fidelity: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Read and check it; fields of other names become `details`."""
        return cls(
            id=fields.text("id"),
            role=_role(fields),
            file=_file(fields),
            sha256=_sha256(fields),
            precision=_precision(fields),
            form=fields.text("form"),
            parity=fields.mapping("parity"),
            fidelity=_fidelity(fields),
            details=_details(cls, fields),
        )

    def to_json(self) -> dict[str, Any]:
        """The JSON object, with `details` as fields of its own, and no `fidelity` where there are no figures."""
        document = _to_json(self)
        if not self.fidelity:
            del document["fidelity"]
        return document


@dataclass(frozen=True)
class CompiledEngine:
    """A variant compiled for certain devices by one version of a library.

    `profiles` are the shapes it was built for, as the library that built it names them; `details` holds whatever else
    that library's backend wrote.
    """

    id: str
    variant: str
    file: str
    sha256: str
    library: str
    library_version: str
    compute_capabilities: tuple[str, ...]
    profiles: tuple[Mapping[str, Any], ...]
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Read and check it; fields of other names become `details`."""
        return cls(
            id=fields.text("id"),
            variant=fields.text("variant"),
            file=_file(fields),
            sha256=_sha256(fields),
            library=fields.text("library"),
            library_version=fields.text("library_version"),
            compute_capabilities=fields.texts("compute_capabilities"),
            profiles=tuple(profile.document for profile in fields.items("profiles")),
            details=_details(cls, fields),
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

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Read and check it."""
        return cls(_file(fields), _sha256(fields), fields.integer("images"))

    @property
    def id(self) -> str:
        """What lists of files call it."""
        return "probe"


def _details(kind: type[Entry], fields: Fields) -> dict[str, Any]:
    """The fields that the class does not know."""
    known = kind.__dataclass_fields__.keys() - {"details"}
    return {key: value for key, value in fields.document.items() if key not in known}


def _to_json(entry: Entry) -> dict[str, Any]:
    document: dict[str, Any] = asdict(entry)
    details: dict[str, Any] = document.pop("details")
    twice = sorted(details.keys() & document.keys())
    if twice:
        raise ValueError(f"details of {entry.id} repeat the fields {', '.join(twice)}")
    return document | details


def _fidelity(fields: Fields) -> dict[str, Any]:
    """Figures of which the PSNRs are numbers: the probe holds plans to them."""
    fidelity = fields.optional("fidelity")
    if fidelity is None:
        return {}
    for figure in PROMISES:
        fidelity.number(figure)
    return fidelity.document


def _role(fields: Fields) -> Role:
    role = fields.text("role")
    if role not in get_args(Role):
        fields.refuse("role", f"one of {', '.join(get_args(Role))}")
    return cast(Role, role)


def _precision(fields: Fields) -> str:
    precision = fields.text("precision")
    if precision not in PRECISIONS:
        fields.refuse("precision", f"one of {', '.join(PRECISIONS)}")
    return precision


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

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Read and check it."""
        info = cls(fields.integer("dim"), fields.text("distribution"))
        if info.distribution not in DISTRIBUTIONS:
            fields.refuse("distribution", f"one of {', '.join(DISTRIBUTIONS)}")
        return info


@dataclass(frozen=True)
class ImageInfo:
    """One image: uint8 [height, width, channels], in pixels."""

    height: int
    width: int
    channels: int

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Read and check it."""
        return cls(fields.integer("height"), fields.integer("width"), fields.integer("channels"))

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return (self.height, self.width, self.channels)


@dataclass(frozen=True)
class FeaturesInfo:
    """The discriminator's feature vector: `dim` float32 numbers an image, made by `pooling`."""

    dim: int
    pooling: str

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Read and check it."""
        return cls(fields.integer("dim"), fields.text("pooling"))


@dataclass(frozen=True)
class GeneratorInfo:
    """What goes into the generator and what comes out."""

    latent: LatentInfo
    image: ImageInfo

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Read and check it."""
        return cls(LatentInfo.read(fields.fields("latent")), ImageInfo.read(fields.fields("image")))


@dataclass(frozen=True)
class DiscriminatorInfo:
    """What goes into the discriminator and what comes out."""

    image: ImageInfo
    features: FeaturesInfo

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Read and check it."""
        return cls(ImageInfo.read(fields.fields("image")), FeaturesInfo.read(fields.fields("features")))


@dataclass(frozen=True)
class Manifest:
    """Everything that `manifest.json` says.

    Args:
        name: what the bundle is called.
        created: when, ISO 8601 in UTC.
        toolchain: the version of every package that made it.
        training: settings, steps and data digest of the training run; free keys.
        generator: the generator's signature.
        discriminator: the discriminator's signature, or None where the bundle has none.
        variants: every ONNX graph; at least one generator.
        engines: every compiled engine.
        probe: latents with the pixels that every plan must make of them, or None in bundles without.
    """

    name: str
    created: str
    toolchain: Mapping[str, str]
    training: Mapping[str, Any]
    generator: GeneratorInfo
    discriminator: DiscriminatorInfo | None
    variants: tuple[Variant, ...]
    engines: tuple[CompiledEngine, ...] = ()
    probe: Probe | None = None

    @classmethod
    def from_json(cls, document: object) -> Self:
        """Read a parsed `manifest.json`.

        Raises:
            BundleError: the format is unknown, or a field is missing or of the wrong kind; the text names the field.
        """
        fields = Fields(document)
        _check_format(fields)
        discriminator, probe = fields.optional("discriminator"), fields.optional("probe")
        manifest = cls(
            name=fields.text("name"),
            created=fields.text("created"),
            toolchain=_toolchain(fields.fields("toolchain")),
            training=fields.mapping("training"),
            generator=GeneratorInfo.read(fields.fields("generator")),
            discriminator=None if discriminator is None else DiscriminatorInfo.read(discriminator),
            variants=tuple(Variant.read(item) for item in fields.items("variants")),
            engines=tuple(CompiledEngine.read(item) for item in fields.items("engines")),
            probe=None if probe is None else Probe.read(probe),
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
        """Check what holds between the fields.

        Raises:
            BundleError: two entries share an id or a file, an engine's variant is missing, a role has no signature.
        """
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


def _toolchain(fields: Fields) -> dict[str, str]:
    return {package: fields.text(package) for package in fields.document}
