"""Builds the application of a configuration file: `import_path: ganport_serve.ray_engine.application:build`.

The number of replicas, their `user_config` and their `ray_actor_options` stand in the configuration file, beside this
deployment's name, `GeneratorReplica`; fronts find the application by its name, `ganport`.
"""

from dataclasses import fields
from typing import Any

from ganport_runtime import InputError
from ganport_runtime.plan import Request
from ray.serve import Application

from ganport_serve.bundles import Options
from ganport_serve.ray_engine.deployment import Needs, application
from ganport_serve.settings import Settings

__all__ = ["build"]

OPTIONS = tuple(field.name for field in fields(Options))
BATCHING = ("max_delay", "max_queue")


def build(args: dict[str, Any]) -> Application:
    """The application of replicas that serve a bundle.

    Args:
        args: `bundle`, the path on every machine; and where they are to differ from the defaults `device`, `precision`,
            `backend`, `threads` of `Generator.open`, `max_delay` in seconds and `max_queue` in images of the batchers.

    Raises:
        InputError: an argument is missing, unknown or has a value that is none of its.
    """
    known = ("bundle", *OPTIONS, *BATCHING)
    for name in args:
        if name not in known:
            raise InputError(f"args has {name!r}, wanted {', '.join(known)}")
    if not isinstance(args.get("bundle"), str):
        raise InputError("args has no bundle, wanted the path of a bundle's directory on every machine")
    options = Options(**{name: args[name] for name in OPTIONS if name in args})
    Request(**vars(options))
    settings = Settings(**{name: args[name] for name in BATCHING if name in args})
    needs = Needs(cpus=float(options.threads or 1), gpus=float(options.device == "cuda"), threads=options.threads)
    return application(settings, options, needs, replicas=1, user_config={"bundle": args["bundle"]})
