"""Step 6: the full server's route class, which calls what is marked at once: no look for parameters."""

import os
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime
from fastapi import FastAPI, Request, Response

from apps.servers import at_once
from apps.servers.asgi import Route

app = FastAPI()
app.router.route_class = Route
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
path = Path(os.environ["MODEL_PATH"]).with_suffix(".onnx")
model = onnxruntime.InferenceSession(path, options)


class Input(msgspec.Struct):
    features: list[float]


decode = msgspec.json.Decoder(Input).decode
encode = msgspec.json.Encoder().encode


@app.post("/predict")
@at_once
async def predict(request: Request):
    rows = np.array([decode(await request.body()).features], np.float32)
    answer = encode({"prediction": model.run(["label"], {"X": rows})[0].tolist()})
    return Response(answer, media_type="application/json")


@app.get("/health")
async def health():
    return {"status": "ok"}
