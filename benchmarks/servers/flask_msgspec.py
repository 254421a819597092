"""Flask with the model in ONNX Runtime, and msgspec to read the body and write the answer."""

import os
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime
from flask import Flask, Response, request

app = Flask(__name__)
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
path = Path(os.environ["MODEL_PATH"]).with_suffix(".onnx")
model = onnxruntime.InferenceSession(path, options)


class Input(msgspec.Struct):
    features: list[float]


decode = msgspec.json.Decoder(Input).decode
encode = msgspec.json.Encoder().encode


@app.post("/predict")
def predict():
    rows = np.array([decode(request.get_data()).features], np.float32)
    answer = encode({"prediction": model.run(["label"], {"X": rows})[0].tolist()})
    return Response(answer, mimetype="application/json")
