"""Step 3: what waits is predicted together, in one thread beside the event loop."""

import os

import joblib
from fastapi import FastAPI
from pydantic import BaseModel

from apps.service.batching import Batcher, Outcome

app = FastAPI()
model = joblib.load(os.environ["MODEL_PATH"])
batcher = Batcher(lambda rows: Outcome(model.predict(rows).tolist(), None))


class Input(BaseModel):
    features: list[float]


@app.post("/predict")
async def predict(given: Input):
    return {"prediction": (await batcher.submit_from_loop([given.features])).predictions}


@app.get("/health")
async def health():
    return {"status": "ok"}
