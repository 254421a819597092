"""What one writes first: pydantic, joblib, scikit-learn; `def` in a thread and `async def` in the loop."""

import os

import joblib
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
model = joblib.load(os.environ["NAIVE_MODEL"])


class Input(BaseModel):
    features: list[float]


@app.post("/threads")
def threads(given: Input):
    return {"prediction": model.predict([given.features]).tolist()}


@app.post("/loop")
async def loop(given: Input):
    return {"prediction": model.predict([given.features]).tolist()}
