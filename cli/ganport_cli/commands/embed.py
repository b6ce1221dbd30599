"""`ganport embed`."""


def embed() -> None:
    """To come."""
