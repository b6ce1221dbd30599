"""`ganport features`."""


def features() -> None:
    """To come."""
