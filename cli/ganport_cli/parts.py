"""The packages that ganport can use, what each is for, and which extra brings it."""

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

__all__ = ["PARTS", "Part"]


@dataclass(frozen=True)
class Part:
    """A package.

    Attributes:
        package: its name on the package index.
        extra: the extra of ganport that brings it, or None where it is brought by none.
        cost: what is missing without it.
    """

    package: str
    extra: str | None
    cost: str

    @property
    def version(self) -> str | None:
        """The installed version, or None; the package is not imported."""
        try:
            return version(self.package)
        except PackageNotFoundError:
            return None

    @property
    def remedy(self) -> str:
        """The command that installs it."""
        return f"pip install {self.package if self.extra is None else repr(f'ganport[{self.extra}]')}"


PARTS = (
    Part("numpy", "cli", "nothing works"),
    Part("typer", "cli", "no command line"),
    Part("rich", "cli", "no command line"),
    Part("pillow", "cli", "no image files, read or written"),
    Part("onnxruntime", "cpu", "no engine for the CPU, unless openvino is there"),
    Part("openvino", "openvino", "no second engine for the CPU, with int8 and bf16 graphs often the fastest one"),
    Part("onnxruntime-gpu", "gpu", "no ONNX graphs on an NVIDIA GPU; takes the place of onnxruntime, not beside it"),
    Part("tensorrt", "tensorrt", "no TensorRT engines, built or run; servers and Jetson"),
    Part("tensorrt-rtx", "rtx", "no TensorRT-RTX engines, built (which needs no GPU) or run"),
    Part("cuda-bindings", "rtx", "no TensorRT engines are run"),
    Part("torch", "train", "no training and no export"),
    Part("safetensors", "train", "no training and no export"),
    Part("scikit-learn", "train", "no digits to train on, no feature reports"),
    Part("onnx", "optimize", "no export, no optimize, no random-weights control in feature reports"),
    Part("onnx-ir", "optimize", "no export, no optimize"),
    Part("onnxscript", "optimize", "no export, no optimize"),
    Part("matplotlib", "features", "no feature reports"),
    Part("granian", "serve", "no server"),
    Part("msgspec", "serve", "no server"),
    Part("uvloop", "serve", "no server"),
    Part("grpcio", "serve", "no server"),
    Part("prometheus-client", "serve", "no server"),
    Part("tritonclient", "serve", "no server: it brings the published stubs of its gRPC side"),
    Part("pyyaml", "serve", "no export-triton: it writes what KServe reads"),
    Part("nvidia-ml-py", "bench", "no clocks, power and throttling of GPUs in what benchmarks record"),
    Part("psutil", "bench", "no serving benchmarks: they watch memory and processor time"),
    Part("packaging", "bench", "no figures of installed sizes in ganport bench"),
    Part("ray", "ray", "no serving past one process"),
    Part("litserve", "bench", "no comparison of servers in make bench"),
    Part("mlcommons-loadgen", "bench", "no LoadGen scenarios in ganport bench"),
    Part("umap-learn", None, "no UMAP picture in feature reports, beside PCA and t-SNE"),
    Part("tensorboard", None, "no TensorBoard event files from training"),
)
