"""What a view says of who may use it. The gate holds callers to it, and knows of no other rule."""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

SCOPES = {
    "predict": "ask for predictions, and for what the model is",
    "jobs": "leave work to be done, and fetch it",
    "generate": "generate text",
    "admin": "change what is served",
}
PUBLIC = "public"  # whoever comes
SIGNED_IN = "signed in"  # whoever has credentials, whatever their scopes


class Declared(NamedTuple):
    scope: str
    limit: str  # the class that its requests are counted in; "" for none


class Needed(NamedTuple):
    """What all the views that one request may reach declare together."""

    scopes: tuple[str, ...]  # that a caller must have, all of them
    public: bool  # whether nobody has to say who they are
    limit: str


@lru_cache
def together(declared: frozenset[Declared]) -> Needed:
    """Of one view or more."""
    scopes = {one.scope for one in declared}
    limit = next((one.limit for one in sorted(declared) if one.limit), "")
    return Needed(tuple(sorted(scopes - {PUBLIC, SIGNED_IN})), scopes == {PUBLIC}, limit)


def access(scope: str, limit: str | None = None) -> Callable[[Callable], Callable]:
    """A view's decorator, the one next to the function: `@access("predict")`. It only notes `scope`, which is
    one of SCOPES, PUBLIC or SIGNED_IN. `limit` is the class of RATE_LIMITS that the view's requests count in:
    if not given, the scope's name; "account" for SIGNED_IN; for PUBLIC none. What is mounted is declared so
    too: `app.mount("/files", access(PUBLIC)(StaticFiles(...)))`. ValueError for an unknown scope."""
    if scope not in (*SCOPES, PUBLIC, SIGNED_IN):
        raise ValueError(f"expected a scope among {', '.join(SCOPES)}, or PUBLIC, or SIGNED_IN")
    if limit is None:
        limit = {PUBLIC: "", SIGNED_IN: "account"}.get(scope, scope)

    def note(view: Callable) -> Callable:
        view.access = Declared(scope, limit)
        return view

    return note
