"""What a bundle's graphs take and give, and the check that a loaded one does."""

from ganport_runtime.backends import Session, Tensor
from ganport_runtime.errors import BundleError

__all__ = ["Signature", "check_signature"]

Signature = tuple[Tensor, ...]
"""The graph's one input, then its outputs."""


def check_signature(promised: Signature, session: Session, where: str) -> None:
    """See that the graph is what the manifest says it is, before anything runs.

    Raises:
        BundleError: it is not; the text begins with `where`.
    """
    if session.inputs != promised[:1]:
        raise BundleError(f"{where} takes {_shown(session.inputs)}, wanted {_shown(promised[:1])}; export it again")
    found = {tensor.name: tensor for tensor in session.outputs}
    for tensor in promised[1:]:
        if found.get(tensor.name) != tensor:
            raise BundleError(f"{where} gives {_shown(session.outputs)}, wanted {_shown((tensor,))}; export it again")


def _shown(tensors: Signature) -> str:
    return ", ".join(
        f"{tensor.name} {tensor.dtype} [{', '.join('batch' if size is None else str(size) for size in tensor.shape)}]"
        for tensor in tensors
    )
