"""What every peer predicts with: scikit-learn or ONNX Runtime, from the file that MODEL_FILE names.

The peers' servers are started as scripts in environments of their own, so this imports nothing of ours.
BATCH is how many requests may be predicted together; 1 switches a peer's batching off."""

import os
from collections.abc import Callable

import numpy as np

MODEL_FILE = os.environ["MODEL_FILE"]
PORT = int(os.environ["PORT"])
BATCH = int(os.environ.get("BATCH", "1"))


def load() -> Callable[[np.ndarray], np.ndarray]:
    """A function from rows of shape (n, features) to classes of shape (n,)."""
    if not MODEL_FILE.endswith(".onnx"):
        import joblib

        return joblib.load(MODEL_FILE).predict
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(MODEL_FILE, options, providers=["CPUExecutionProvider"])
    into, out = session.get_inputs()[0].name, session.get_outputs()[0].name
    return lambda rows: session.run([out], {into: rows.astype(np.float32)})[0]
