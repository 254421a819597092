"""Who sends a request."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    subject: str  # "user:alice", "client:ci", "key:sk_1a2b3c4d", "address:192.0.2.7"
    scopes: frozenset[str] = frozenset()
    tenant: str = "default"
    id: str = ""  # of the token, or the key's prefix
    name: str = ""  # the user's or client's; for a key, its owner's
    expires_at: float | None = None  # seconds since 1970
