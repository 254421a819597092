"""Step 4: the same model in ONNX Runtime, so fast that the event loop may predict."""

import os
from pathlib import Path

import numpy as np
import onnxruntime
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
path = Path(os.environ["MODEL_PATH"]).with_suffix(".onnx")
model = onnxruntime.InferenceSession(path, options)


class Input(BaseModel):
    features: list[float]


@app.post("/predict")
async def predict(given: Input):
    rows = np.array([given.features], np.float32)
    return {"prediction": model.run(["label"], {"X": rows})[0].tolist()}


@app.get("/health")
async def health():
    return {"status": "ok"}
