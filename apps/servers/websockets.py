"""WebSockets for the FastAPI server, where its app has any: uvicorn's own protocol on our connections."""

import time

from starlette.routing import WebSocketRoute


def protocol_for(app, write_seconds: float):
    """What uvicorn takes as `ws`. Without a route for one, a request for a WebSocket is answered as a plain
    request: a server need not follow it (RFC 9110, section 7.8). A client that takes nothing for
    `write_seconds` is cut off."""
    if not has_websockets(app.routes):
        return "none"
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

    from apps.frameworks.websockets_protocol import BoundedProtocol

    class WebSocketProtocol(WebSocketsSansIOProtocol):
        _full_since: float | None = None  # since when what is sent waits for the client

        def __init__(self, config, *args, **options) -> None:
            super().__init__(config, *args, **options)
            self.conn = BoundedProtocol(max_size=config.ws_max_size, logger=self.logger)

        def connection_made(self, transport) -> None:
            super().connection_made(getattr(transport, "_transport", transport))  # nothing of it is kept back

        def pause_writing(self) -> None:
            super().pause_writing()
            self._full_since = time.perf_counter()

        def resume_writing(self) -> None:
            super().resume_writing()
            self._full_since = None

        def cut_off_if_stalled(self, now: float) -> None:
            """It may be silent: uvicorn's pings find out who has gone."""
            if self._full_since is not None and now - self._full_since > write_seconds:
                self.transport.abort()

        def keepalive_timeout(self) -> None:
            """Who answers no ping takes no last word either, for which uvicorn would wait."""
            super().keepalive_timeout()
            self.transport.abort()

    return WebSocketProtocol


def has_websockets(routes) -> bool:
    for route in routes:
        if isinstance(route, WebSocketRoute) or has_websockets(getattr(route, "routes", None) or ()):
            return True
        router = getattr(route, "original_router", None)  # FastAPI keeps an included router as it is
        if router is not None and has_websockets(router.routes):
            return True
    return False
