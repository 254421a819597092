"""Ray Serve: one replica on one CPU, throughput-optimised, no access log.

https://docs.ray.io/en/latest/serve/advanced-guides/performance.html"""

import os
import signal

os.environ.setdefault("RAY_SERVE_THROUGHPUT_OPTIMIZED", "1")

import numpy as np
import ray
from engine import BATCH, PORT, load
from ray import serve
from ray.serve.config import HTTPOptions
from ray.serve.schema import LoggingConfig
from starlette.requests import Request


@serve.deployment(num_replicas=1, max_ongoing_requests=256, ray_actor_options={"num_cpus": 1})
class Iris:
    def __init__(self):
        self.model = load()

    @serve.batch(max_batch_size=max(BATCH, 1), batch_wait_timeout_s=0.002)
    async def together(self, rows: list) -> list:
        return self.model(np.array(rows)).tolist()

    async def __call__(self, request: Request) -> dict:
        row = (await request.json())["features"]
        if BATCH > 1:
            return {"prediction": [await self.together(row)]}
        return {"prediction": self.model(np.array([row])).tolist()}


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    serve.start(http_options=HTTPOptions(host="127.0.0.1", port=PORT))
    quiet = LoggingConfig(log_level="ERROR", enable_access_log=False)
    serve.run(Iris.bind(), route_prefix="/predict", logging_config=quiet)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    serve.shutdown()
    ray.shutdown()
