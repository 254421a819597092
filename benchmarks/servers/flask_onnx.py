"""Flask with the model in ONNX Runtime."""

import os
from pathlib import Path

import numpy as np
import onnxruntime
from flask import Flask, request

app = Flask(__name__)
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
path = Path(os.environ["MODEL_PATH"]).with_suffix(".onnx")
model = onnxruntime.InferenceSession(path, options)


@app.post("/predict")
def predict():
    rows = np.array([request.json["features"]], np.float32)
    return {"prediction": model.run(["label"], {"X": rows})[0].tolist()}
