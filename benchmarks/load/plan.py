"""What a load test asks, of whom, and when."""

import ipaddress
import itertools
import math
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

ANY_HOST = "SERVELAB_LOAD_ANY_HOST"


class LoadError(ValueError):
    """An argument that cannot be, or a server that is not there; the message says what to do."""


@dataclass(frozen=True)
class Plan:
    """What to ask: `rate` requests in a second for `seconds`, each given `timeout` seconds once it is due.

    `arrivals` is "constant", or "poisson" for times as random as those of many people, the same each time."""

    url: SplitResult
    rate: float
    seconds: float
    body: bytes | None = None  # None: a GET
    connections: int = 64
    timeout: float = 10
    arrivals: str = "constant"
    headers: tuple[str, ...] = field(default=(), repr=False)

    def due(self) -> Iterator[float]:
        """When each request is due, in seconds from the start; at last infinity."""
        if self.arrivals == "poisson":
            chance = random.Random(0)
            steps = (chance.expovariate(self.rate) for _ in itertools.count())
            times = itertools.accumulate(steps)
        else:
            times = (number / self.rate for number in itertools.count())
        yield from itertools.takewhile(lambda moment: moment < self.seconds, times)
        yield math.inf

    def request(self) -> bytes:
        path = (self.url.path or "/") + (f"?{self.url.query}" if self.url.query else "")
        head = f"{'GET' if self.body is None else 'POST'} {path} HTTP/1.1\r\nHost: {self.url.netloc}\r\n"
        head += "Accept: application/json\r\nUser-Agent: servelab-load\r\n"
        if self.body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(self.body)}\r\n"
        head += "".join(f"{header}\r\n" for header in self.headers)
        return f"{head}\r\n".encode("latin-1") + (self.body or b"")


def checked(text: str) -> SplitResult:
    """The URL, if we may send load to it. Raises LoadError."""
    try:
        url = urlsplit(text)
        valid = url.scheme == "http" and url.hostname and url.port != 0 and text.isascii()
    except ValueError:
        valid = False
    if not valid or "@" in text or " " in text:
        raise LoadError(f"expected a URL like http://127.0.0.1:8000/predict, got {text}")
    if not (loopback(url.hostname) or os.environ.get(ANY_HOST) == "1"):
        raise LoadError(
            f"expected a host on this machine (127.0.0.1), got {url.hostname}: load on somebody else's "
            f"server is an attack. If it is yours, set {ANY_HOST}=1"
        )
    return url


def loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
