"""WebSockets for the FastAPI server, where its app has any: uvicorn's own protocol on our connections."""

from starlette.routing import WebSocketRoute


def protocol_for(app):
    """What uvicorn takes as `ws`. Without a route for one, a request for a WebSocket is answered as a plain
    request: a server need not follow it (RFC 9110, section 7.8)."""
    if not has_websockets(app.routes):
        return "none"
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

    class WebSocketProtocol(WebSocketsSansIOProtocol):
        def connection_made(self, transport) -> None:
            super().connection_made(getattr(transport, "_transport", transport))  # nothing of it is kept back

        def cut_off_if_stalled(self, now: float) -> None:
            """It may be silent: uvicorn's pings find out who has gone."""

    return WebSocketProtocol


def has_websockets(routes) -> bool:
    for route in routes:
        if isinstance(route, WebSocketRoute) or has_websockets(getattr(route, "routes", None) or ()):
            return True
        router = getattr(route, "original_router", None)  # FastAPI keeps an included router as it is
        if router is not None and has_websockets(router.routes):
            return True
    return False
