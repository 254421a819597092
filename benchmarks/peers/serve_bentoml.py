"""BentoML: one worker, one thread; https://docs.bentoml.com/en/latest/get-started/adaptive-batching.html

Its dispatcher refuses with 503 what it thinks will take longer than `max_latency_ms`."""

import os
import sys
from pathlib import Path

import bentoml
import numpy as np
from engine import BATCH, PORT, load

QUIET = {"logging": {"access": {"enabled": False}}, "metrics": {"enabled": False}}
BATCHING = {"batchable": True, "max_batch_size": BATCH, "max_latency_ms": 10_000} if BATCH > 1 else {}


@bentoml.service(workers=1, threads=1, **QUIET)
class Iris:
    def __init__(self):
        self.model = load()

    @bentoml.api(**BATCHING)
    def predict(self, features: np.ndarray) -> np.ndarray:
        return self.model(features)


if __name__ == "__main__":
    where = ["--host", "127.0.0.1", "--port", str(PORT), "--working-dir", str(Path(__file__).parent)]
    os.execv(sys.executable, [sys.executable, "-m", "bentoml", "serve", "serve_bentoml:Iris", *where])
