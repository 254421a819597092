"""Step 2: `async def`. No thread is asked for, and the event loop itself predicts."""

import os

import joblib
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
model = joblib.load(os.environ["MODEL_PATH"])


class Input(BaseModel):
    features: list[float]


@app.post("/predict")
async def predict(given: Input):
    return {"prediction": model.predict([given.features]).tolist()}


@app.get("/health")
async def health():
    return {"status": "ok"}
