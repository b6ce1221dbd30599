"""`ganport doctor`: what this machine has, and what each missing part costs."""

import platform
from dataclasses import asdict
from importlib import import_module
from typing import Any

from ganport_cli.terminal import Json, console, print_json, say, table


def doctor(json: Json = False) -> None:
    """Show what this machine has, what each missing part costs and how to install it.

    Example: ganport doctor
    """
    document = _examine()
    _show(document)
    if json:
        print_json(document)


def _examine() -> dict[str, Any]:
    from ganport_runtime import __version__
    from ganport_runtime.machine import this_host

    from ganport_cli.packages import dependencies

    packages = [
        {"package": found.name, "version": found.version, "extra": found.extra, "cost": found.without}
        | {"remedy": found.remedy}
        for found in dependencies()
    ]
    document: dict[str, Any] = {"ganport": __version__, "python": platform.python_version()}
    document |= {"host": asdict(this_host())}
    document |= {"packages": packages, "providers": _providers(), "backends": _backends()}
    return document | {"warnings": _warnings(document)}


def _providers() -> list[str]:
    try:
        library = import_module("onnxruntime")
    except ImportError:
        return []
    return list(getattr(library, "get_available_providers", list)())


def _backends() -> list[dict[str, str | None]]:
    from ganport_runtime.backends import BACKENDS, load_backend

    return [
        {"backend": name, "device": device, "refusal": load_backend(name).refusal(device)}
        for name in BACKENDS
        for device in load_backend(name).devices
    ]


def _warnings(document: dict[str, Any]) -> list[str]:
    from ganport_runtime.backends import BACKENDS, load_backend

    versions = {item["package"]: item["version"] for item in document["packages"]}
    engines = [package for name in BACKENDS for package in load_backend(name).packages]
    cpu, gpu = versions["onnxruntime"], versions["onnxruntime-gpu"]
    warnings = []
    if cpu and gpu:
        warnings.append(
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other's files: "
            "uninstall both, then install one"
        )
    if not any(versions[engine.name] for engine in engines):
        warnings.append("no inference engine is installed: pip install 'ganport[cpu]' or 'ganport[gpu]'")
    if document["host"]["gpus"] and not any(versions[engine.name] for engine in engines if engine.device == "cuda"):
        warnings.append("there is an NVIDIA GPU that nothing uses: pip install 'ganport[gpu]' in a new environment")
    return warnings


def _show(document: dict[str, Any]) -> None:
    screen = console()
    say("\n".join(_machine(document)))
    rows = [
        (item["package"], item["version"], "", "")
        if item["version"]
        else (item["package"], "missing", item["cost"], item["remedy"])
        for item in document["packages"]
    ]
    screen.print(table("Packages", ("package", "version", "without it", "to install"), rows))
    for item in document["backends"]:
        say(f"{item['backend']} on {item['device']}: {item['refusal'] or 'available'}")
    for warning in document["warnings"]:
        say(f"Warning: {warning}")


def _machine(document: dict[str, Any]) -> list[str]:
    host = document["host"]
    quota = "" if host["cpu_quota"] is None else f", a container's limit of {host['cpu_quota']:g}"
    memory = "unknown" if host["memory_bytes"] is None else f"{host['memory_bytes'] / 2**30:.1f} GiB"
    gpus = [
        f"{gpu['name']}, {gpu['memory_mib']} MiB, capability {gpu['compute_capability']}, driver {gpu['driver']}"
        for gpu in host["gpus"]
    ]
    return [
        f"ganport {document['ganport']}, Python {document['python']}, {host['system']}",
        f"CPU: {host['cpu']}; cores usable: {host['cores']}{quota}; memory: {memory}",
        f"GPU: {'; '.join(gpus) or host['gpu_note']}",
        f"ONNX Runtime providers: {', '.join(document['providers']) or 'none'}",
    ]
