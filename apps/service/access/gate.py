"""The gate that every request passes before its body is read: who is it, may they, and how much is left.

What a view declares (declared.py) is the only rule. A path that matches no route is answered here, so that
nothing is reached that the table of routes does not hold."""

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

from apps.service.access.addresses import Addresses
from apps.service.access.callers import Caller
from apps.service.problems import Problem, of_status

THREADS = 8  # that may ask a database or Redis at a time
REALM = 'Bearer realm="servelab"'


class Gate:
    """`identity` is None where access is off, `limits` where there are none; `counts` is where they count."""

    def __init__(self, settings, log, identity, limits, counts) -> None:
        self._log, self.identity, self.limits, self.counts = log, identity, limits, counts
        self._addresses = Addresses(settings.trusted_proxies)
        self._anybody = lru_cache(maxsize=4096)(lambda address: Caller(f"address:{address}"))
        self._told: set[str] = set()
        # For an event loop: others than those in which passwords are hashed, of which many may wait.
        self.threads = ThreadPoolExecutor(THREADS, "gate")

    def enter(self, context, wait: bool = True) -> bool:
        """Let a request in: sets its `caller`. Raises Problem (401, 403, 404, 405, 429, 503). Returns False
        where that takes a database or Redis and `wait` is False, as an event loop asks first: call it again
        in a thread then."""
        if context.caller is None:
            context.address = self._addresses.of(context.peer, context.header)
            context.caller = self._identified(context, wait)
            if context.caller is None:
                return False
            self._check_scopes(context)
        needed = context.needed
        if self.limits is None or needed is None or not needed.limit or context.counted:
            return True
        return self.limits.enter(context, context.caller, needed.limit, wait)

    def again(self, context) -> None:
        """Count one more request of a connection that was let in. Raises Problem (429)."""
        if self.limits is not None and context.needed is not None and context.needed.limit:
            self.limits.again(context.caller, context.needed.limit)

    def leave(self, context) -> None:
        """The answer has gone. Call it for each request that has a slot."""
        slot, context.slot = context.slot, None
        self.limits.leave(slot)

    def _identified(self, context, wait: bool) -> Caller | None:
        if self.identity is None:
            return self._anybody(context.address)
        if context.needed is None:
            raise self._undeclared(context)
        if context.needed.public:
            return self._anybody(context.address)
        authorization, key = context.header("authorization"), context.header("x-api-key")
        if not authorization and not key:
            raise Problem(
                "unauthorized",
                "expected an access token (Authorization: Bearer …) or a key (X-API-Key)",
                [("WWW-Authenticate", REALM)],
            )
        return self.identity.identify(authorization, key, wait)

    def _check_scopes(self, context) -> None:
        """Raises Problem where the caller, who is known by now, lacks what the view asks for."""
        if self.identity is None:
            return
        scopes = context.needed.scopes
        if "admin" in scopes and self.identity.stale:
            raise Problem("access-unavailable", "who may do what cannot be looked up now")
        for scope in scopes:
            if scope not in context.caller.scopes:
                raise Problem(
                    "forbidden",
                    f"expected credentials with the scope {scope}",
                    [("WWW-Authenticate", f'{REALM}, error="insufficient_scope", scope="{scope}"')],
                )

    def _undeclared(self, context) -> Problem:
        """No route, no such method on it, or a route that was added later and declares nothing."""
        if context.route in context.service.requests.undeclared():
            if context.route not in self._told:
                self._told.add(context.route)
                self._log.error("refused: its view declares no access", route=context.route)
            return Problem("forbidden", "nobody may use this route before its view declares who may")
        allow = context.service.requests.routes.allow(context.route)
        if allow:
            return Problem("method-not-allowed", f"expected {allow}", [("Allow", allow)])
        return of_status(404)
