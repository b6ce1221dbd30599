"""The bundle's manifest: one schema, written by export and read by the runtime."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from ganport_runtime.entries import Engine, Entry, Probe, Role, Variant
from ganport_runtime.errors import BundleError
from ganport_runtime.fields import Fields
from ganport_runtime.text import shown

__all__ = [
    "FORMAT",
    "DiscriminatorInfo",
    "Engine",
    "FeaturesInfo",
    "GeneratorInfo",
    "ImageInfo",
    "LatentInfo",
    "Manifest",
    "Probe",
    "Role",
    "Variant",
]

FORMAT = 1
DISTRIBUTIONS = ("normal",)


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
    engines: tuple[Engine, ...] = ()
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
            engines=tuple(Engine.read(item) for item in fields.items("engines")),
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
