"""Step 1, what one writes first: pydantic, joblib, scikit-learn. A `def` runs in one of 40 threads."""

import os

import joblib
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
model = joblib.load(os.environ["MODEL_PATH"])


class Input(BaseModel):
    features: list[float]


@app.post("/predict")
def predict(given: Input):
    return {"prediction": model.predict([given.features]).tolist()}


@app.get("/health")
async def health():
    return {"status": "ok"}
