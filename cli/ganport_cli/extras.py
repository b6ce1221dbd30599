"""Which extra of the distribution brings which module."""

EXTRA_OF_MODULE = {
    "torch": "train",
    "safetensors": "train",
    "sklearn": "features",
    "matplotlib": "features",
    "onnx": "optimize",
    "onnx_ir": "optimize",
    "onnxscript": "optimize",
    "onnxruntime": "cpu",
    "PIL": "cli",
    "granian": "serve",
    "msgspec": "serve",
    "uvloop": "serve",
    "grpc": "serve",
    "prometheus_client": "serve",
    "tritonclient": "serve",
    "google": "serve",
    "yaml": "serve",
    "pynvml": "bench",
    "packaging": "bench",
    "psutil": "bench",
    "ray": "ray",
    "mlperf_loadgen": "bench",
}


def missing_extra(error: ModuleNotFoundError) -> str | None:
    """One line that says which extra to install, or None where the missing module is in no extra."""
    module = (error.name or "").split(".")[0]
    extra = EXTRA_OF_MODULE.get(module)
    if extra is None:
        return None
    return f"this needs {module}, which is not installed here: pip install 'ganport[{extra}]'"
