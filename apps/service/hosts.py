"""The names by which a server may be asked for. A page of the web can give its own name the address
127.0.0.1 and then read what a server on the visitor's machine answers (DNS rebinding); the header Host still
tells that name. https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html"""

import re
from socket import gethostname

LOOPBACK = ("127.0.0.1", "localhost", "::1")
ANY_ADDRESS = ("0.0.0.0", "::", "")
HOST = re.compile(  # RFC 9110, section 7.2: a name or an address, and a port
    r"(?:\[(?P<ipv6>[0-9a-f:.]{2,45})\]|(?P<name>[a-z0-9_](?:[a-z0-9_.-]{0,252}[a-z0-9_])?\.?))"
    r"(?::(?P<port>[0-9]{0,5}))?",
    re.ASCII | re.IGNORECASE,
).fullmatch
LAST_PORT = 65535
KNOWN = 256  # spellings that are remembered, each with its port


class Hosts:
    """`allowed`: names, `*.example.org` for those under one, `*` for any; besides them this machine's."""

    def __init__(self, allowed: tuple[str, ...], host: str) -> None:
        own = [*LOOPBACK, gethostname().lower(), *([] if host in ANY_ADDRESS else [host.lower()])]
        self._names = {*own, *(name for name in allowed if not name.startswith("*"))}
        self._endings = tuple(name[1:] for name in allowed if name.startswith("*."))
        self._any = "*" in allowed
        self.known: set[str] = set()  # what has been allowed before, as it was written

    def allows(self, host: str) -> bool:
        """Whether the value of a header Host is well formed and names one of them."""
        found = HOST(host)
        if not found or int(found["port"] or 0) > LAST_PORT:
            return False
        name = (found["ipv6"] or found["name"]).lower().rstrip(".")
        if not (self._any or name in self._names or name.endswith(self._endings or ("\0",))):
            return False
        if len(self.known) < KNOWN:
            self.known.add(host)
        return True
