"""What is left to gain: the same model without a framework, without checks, limits, logs or metrics."""

import os
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(str(Path(os.environ["MODEL_PATH"]).with_suffix(".onnx")), options)
name = session.get_inputs()[0].name


class Input(msgspec.Struct):
    features: list[float]


decode = msgspec.json.Decoder(Input).decode
encode = msgspec.json.encode
HEADERS = [(b"content-type", b"application/json")]


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    features = decode((await receive())["body"]).features
    found = session.run(None, {name: np.array([features], np.float32)})[0]
    body = encode({"prediction": found.tolist()})
    headers = [*HEADERS, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
