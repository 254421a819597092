"""Who may use what, in OpenAPI's words. https://spec.openapis.org/oas/v3.1.1.html#security-scheme-object"""

from typing import Any

from apps.service.access.declared import PUBLIC, SCOPES, SIGNED_IN, Declared
from apps.service.settings import Settings


def guards(declared: set[Declared], settings: Settings) -> dict[str, Any]:
    """What stands before a view: whom it asks for (OpenAPI's `security`), and what it may refuse with."""
    scopes = sorted({one.scope for one in declared} - {PUBLIC})
    security, slugs = [], []
    if settings.guarded and scopes:
        wanted = [scope for scope in scopes if scope != SIGNED_IN]
        security = [{"token": wanted}, {"key": wanted}]
        slugs = ["unauthorized", *(["forbidden"] if wanted else []), "access-unavailable"]
    if settings.limited and any(one.limit for one in declared):
        slugs.append("too-many-requests")
    return {"security": security, "problems": slugs}


def security_schemes(root: str) -> dict[str, Any]:
    flow = {"tokenUrl": f"{root}/token", "refreshUrl": f"{root}/token", "scopes": SCOPES}
    return {
        "token": {
            "type": "oauth2",
            "description": "For people: username and password, with client_id and client_secret left empty. "
            "For programs that have an account: client_id and client_secret.",
            "flows": {"password": flow, "clientCredentials": flow},
        },
        "key": {
            "type": "apiKey",
            "description": "A key, as it was shown when it was made: sk_…",
            "in": "header",
            "name": "X-API-Key",
        },
    }
