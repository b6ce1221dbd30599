"""The packages that ganport can use: what each is for, and which extra brings it."""

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any


@dataclass(frozen=True)
class Dependency:
    """A package that ganport can use."""

    name: str
    extra: str | None  # the extra of ganport that brings it
    without: str  # what is missing without it
    module: str  # what Python imports

    @property
    def version(self) -> str | None:
        """The installed version, or None; the package is not imported."""
        try:
            return version(self.name)
        except PackageNotFoundError:
            return None

    @property
    def remedy(self) -> str:
        """The command that installs it."""
        return f"pip install {self.name if self.extra is None else repr(f'ganport[{self.extra}]')}"


# Name, extra, what is missing without it, and the module where its name is another. Inference engines are declared by
# their backends. A test compares the table with pyproject.toml.
_OTHERS: tuple[Any, ...] = (
    ("numpy", "cli", "nothing works"),
    ("typer", "cli", "no command line"),
    ("rich", "cli", "no command line"),
    ("pillow", "cli", "no image files, read or written", "PIL"),
    ("torch", "train", "no training and no export"),
    ("safetensors", "train", "no training and no export"),
    ("scikit-learn", "train", "no digits to train on, no feature reports", "sklearn"),
    ("onnx", "optimize", "no export, no optimize, no random-weights control in feature reports"),
    ("onnx-ir", "optimize", "no export, no optimize"),
    ("onnxscript", "optimize", "no export, no optimize"),
    ("matplotlib", "evaluate", "no feature reports"),
    ("granian", "serve", "no server"),
    ("msgspec", "serve", "no server"),
    ("uvloop", "serve", "no server"),
    ("grpcio", "serve", "no server", "grpc"),
    ("prometheus-client", "serve", "no server"),
    ("tritonclient", "serve", "no server: it brings the published stubs of its gRPC side"),
    ("pyyaml", "serve", "no export-triton: it writes what KServe reads", "yaml"),
    ("nvidia-ml-py", "bench", "no clocks, power and throttling of GPUs in what benchmarks record", "pynvml"),
    ("psutil", "bench", "no serving benchmarks: they watch memory and processor time"),
    ("packaging", "bench", "no figures of installed sizes in ganport bench"),
    ("jinja2", "bench", "no reports of ganport bench"),
    ("ray", "ray", "no serving past one process"),
    ("litserve", "bench", "no comparison of servers in make bench"),
    ("mlcommons-loadgen", "bench", "no LoadGen scenarios in ganport bench", "mlperf_loadgen"),
    ("umap-learn", None, "no UMAP picture in feature reports, beside PCA and t-SNE", "umap"),
    ("tensorboard", None, "no TensorBoard event files from training"),
)


def dependencies() -> tuple[Dependency, ...]:
    """Every package that ganport can use: those of the command line, of each inference engine, then all others."""
    from ganport_runtime.backends import all_packages

    engines = [Dependency(found.name, found.extra, found.without, found.module) for found in all_packages()]
    others = [
        Dependency(name, extra, without, module[0] if module else name.replace("-", "_"))
        for name, extra, without, *module in _OTHERS
    ]
    return (*others[:4], *engines, *others[4:])


def missing_extra(error: ModuleNotFoundError) -> str | None:
    """One line that says which extra to install, or None where the missing module is in no extra."""
    module = (error.name or "").split(".")[0]
    extras = {found.module.split(".")[0]: found.extra for found in reversed(dependencies())}
    extra = "serve" if module == "google" else extras.get(module)  # protobuf, which comes with tritonclient
    if extra is None:
        return None
    return f"this needs {module}, which is not installed here: pip install 'ganport[{extra}]'"
