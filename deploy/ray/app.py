"""The FastAPI server on Ray Serve: as many replicas of it as WORKERS says, on one node or on several, and on
each node a proxy at HOST and PORT.

    python -m deploy.ray.app

Its environment is that of requirements.txt beside this file. Without RAY_ADDRESS it makes a cluster of this
machine alone, until it is told to stop. With it, the app goes to the cluster that `ray start` has made there,
whose nodes give replicas the settings that they were started with; run again, it takes the place of what runs
there. https://docs.ray.io/en/latest/serve/"""

import asyncio
import os
import signal
import sys
import threading

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# Alone, Ray's own ports are at 127.0.0.1; this is what it has against firewalls that ask, on other systems.
os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", str(int("RAY_ADDRESS" in os.environ)))
# Ray gives a node's proxy 5 seconds to start, kills it, and with it whoever waits for it.
os.environ.setdefault("RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S", "60")

import ray
from ray import serve
from ray.serve.config import HTTPOptions, ProxyLocation
from ray.serve.schema import LoggingConfig

from apps.fastapi_app import create_app
from apps.service.problems import Problem
from apps.service.settings import SettingsError, read

NAME = "servelab"


@serve.deployment
@serve.ingress(create_app)
class Servelab:
    """A replica: the app, with its lifespan, in a process of its own."""

    def __init__(self) -> None:
        """Each of a node's replicas shows its metrics at a port of its own: METRICS_PORT and those above."""
        if port := read(port=8000).exporter_port:
            os.environ["METRICS_PORT"] = str(port + serve.get_replica_context().rank.local_rank)

    async def check_health(self) -> None:
        """Asked before the first request and then every ten seconds. Where it raises, Ray starts another
        replica."""
        while True:
            try:
                self.app.state.service.health.check_ready()
                return
            except Problem as problem:
                if problem.kind.slug != "model-loading":
                    raise RuntimeError(problem.detail) from None
            await asyncio.sleep(0.05)


def main() -> None:
    try:
        settings = read(port=8000)
    except SettingsError as error:
        sys.exit(f"deploy.ray.app: {error}")
    ray.init(include_dashboard=False, log_to_driver=False, logging_level="error")
    serve.start(
        proxy_location=ProxyLocation.EveryNode,
        http_options=HTTPOptions(
            host=settings.host, port=settings.port, keep_alive_timeout_s=int(settings.keep_alive_seconds)
        ),
    )
    replicas = Servelab.options(
        num_replicas=settings.workers,
        max_ongoing_requests=settings.max_in_flight,
        graceful_shutdown_timeout_s=settings.grace_seconds,
        ray_actor_options={"runtime_env": {"env_vars": {"HOST": settings.host, "PORT": str(settings.port)}}},
    )
    quiet = LoggingConfig(log_level="ERROR", enable_access_log=False)
    serve.run(replicas.bind(), name=NAME, route_prefix="/", logging_config=quiet)
    if "RAY_ADDRESS" not in os.environ:
        told = threading.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: told.set())
        told.wait()
        serve.delete(NAME)  # what has begun is finished; shutdown alone would end the proxies amid it
        serve.shutdown()
        ray.shutdown()


if __name__ == "__main__":
    main()
