"""uvicorn for the FastAPI server, on strict connections (uvicorn_protocol.py): a request to stop drains first
and ends with exit code 0."""

import asyncio
import time

import uvicorn

from apps.servers import websockets, workers
from apps.servers.uvicorn_protocol import strict


def run(create_app, service) -> None:
    """Listen, create the app, serve until told to stop. Ends the process with one line if it cannot begin."""
    settings = service.settings
    listener = workers.listen(service)
    app = create_app(service)
    service.requests.check_access()
    config = uvicorn.Config(
        told_once(app),
        http=strict(service.requests),
        ws=websockets.protocol_for(app, settings.generation_write_seconds),
        ws_max_size=settings.max_body_bytes,
        ws_per_message_deflate=False,  # a few bytes could become megabytes
        ws_ping_interval=settings.heartbeat_seconds,
        ws_ping_timeout=settings.heartbeat_seconds,
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=workers.BACKLOG,
        timeout_graceful_shutdown=settings.grace_seconds,
    )
    Server(config, service).run(sockets=[listener])


def told_once(app):
    """The app, of whose faults uvicorn hears nothing: they have been answered, and have a line in the log."""

    async def served(scope, receive, send) -> None:
        try:
            await app(scope, receive, send)
        except Exception:
            if "context" not in scope or scope["context"].fault is None:
                raise

    return served


class Server(uvicorn.Server):
    """Told to stop, it drains: not ready at once, still accepting for DRAIN_SECONDS, and then uvicorn's own
    graceful shutdown. A second request to stop ends it at once."""

    def __init__(self, config: uvicorn.Config, service) -> None:
        super().__init__(config)
        self._service, self._stop_at = service, None
        self.server_state.draining = False

    def handle_exit(self, sig: int, frame) -> None:
        if workers.is_for_supervisor(sig):
            return
        if self._stop_at is None:
            self._service.lifecycle.drain()
            self._stop_at = time.monotonic() + self._service.settings.drain_seconds
        else:
            self.should_exit = self.force_exit = True

    async def shutdown(self, sockets=None) -> None:
        """uvicorn closes what is idle at once, and with it what has been sent and not yet read. So for a
        short while who asks is still answered, and told with the answer that the connection ends."""
        for server in self.servers:
            server.close()  # nobody new
        self.server_state.draining = True
        for connection in self.server_state.connections:
            if getattr(connection, "cycle", None) is not None:
                connection.cycle.keep_alive = False
        end = time.monotonic() + workers.LAST_WORD_SECONDS
        while self.server_state.connections and time.monotonic() < end and not self.force_exit:
            await asyncio.sleep(0.01)
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        if self._stop_at is not None and time.monotonic() >= self._stop_at:
            self.should_exit = True
        if counter % 5 == 0:
            cut_off_stalled(self.server_state.connections)
        return await super().on_tick(counter)


def cut_off_stalled(connections) -> None:
    now = time.perf_counter()
    for connection in list(connections):
        connection.cut_off_if_stalled(now)
