"""Where a server listens, and the documents that it answers to GET."""

import json
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import SplitResult

from ganport_bench.errors import BenchError

__all__ = ["Address", "address_of"]

SECONDS = 30.0  # for one answer


@dataclass(frozen=True)
class Address:
    """Of HTTP.

    Attributes:
        host: name or address.
        port: of TCP.
    """

    host: str
    port: int

    @property
    def location(self) -> str:
        """`HOST:PORT`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"http://{self.location}"

    def get(self, path: str) -> tuple[int, Any]:
        """The status of the answer to a GET, and its document; None where it is not JSON.

        Raises:
            BenchError: no server of HTTP answers there.
        """
        connection = HTTPConnection(self.host, self.port, timeout=SECONDS)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, _document(answer.read())
        except (OSError, HTTPException) as error:
            raise BenchError(f"{self} does not answer ({error}): start the server, or give its address") from None
        finally:
            connection.close()


def address_of(text: str, parts: SplitResult) -> Address:
    """The address in a URL.

    Raises:
        BenchError: it has none, or more than that.
    """
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise BenchError(f"{text}: {error}") from None
    if not host or parts.username is not None or parts.query or parts.fragment:
        raise BenchError(f"{text}: give a server as http://HOST:PORT, without a user, a query or a fragment")
    return Address(host, 80 if port is None else port)


def _document(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
