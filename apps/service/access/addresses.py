"""The address of whoever sends a request: that of the connection, or behind proxies that are trusted, the one
that these tell. https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/X-Forwarded-For"""

from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network


class Addresses:
    """`trusted`: addresses or networks of proxies, with commas between."""

    def __init__(self, trusted: str) -> None:
        self._trusted = [
            ip_network(part.strip(), strict=False) for part in trusted.split(",") if part.strip()
        ]
        self._normal = lru_cache(maxsize=4096)(normal)

    def of(self, peer: str, header: Callable[[str], str]) -> str:
        """`peer` is who connected, and `header` gives a request's header by its name in lower case. Each
        proxy adds to the right what it saw, so it is read from there, as far as proxies are trusted."""
        if not self._trusted or not self._is_trusted(peer):
            return self._normal(peer)
        for told in reversed([part.strip() for part in header("x-forwarded-for").split(",")][-20:]):
            try:
                ip_address(told)
            except ValueError:
                break  # nobody knows who that was: count it for the proxy that said so
            peer = told
            if not self._is_trusted(told):
                break
        return self._normal(peer)

    def _is_trusted(self, address: str) -> bool:
        try:
            found = ip_address(address)
        except ValueError:
            return False
        mapped = getattr(found, "ipv4_mapped", None)
        return any((mapped or found) in network for network in self._trusted)


def normal(address: str) -> str:
    """For counting: of IPv6 the network that a household or a machine has to itself, its first 64 bits."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(IPv6Address(int(found) >> 64 << 64)) + "/64"
    return str(found)
