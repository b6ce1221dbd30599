"""Why no model repository was written."""

from ganport_serve.errors import ServeError

__all__ = ["RepositoryError"]


class RepositoryError(ServeError):
    """What was asked for cannot become a model repository; the text says what was given and what is wanted."""
