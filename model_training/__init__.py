"""Datasets, training, and model files with their cards. Knows nothing of HTTP."""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # else ONNX Runtime writes an id of this device into HOME
