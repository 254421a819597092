"""A model folder as a model of MLflow's, which its own client loads: models:/iris@champion."""

import io
import os
import shutil
from pathlib import Path

import numpy as np

from model_training.artifact import TRUSTED_TYPES, read_verified
from model_training.card import Card

READ_ONLY = 0o444
NUMPY_TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(string)": np.str_,
    "tensor(bool)": np.bool_,
}


def write_mlflow_model(folder: Path, card: Card, target: Path, logged) -> None:
    """Write `target`: the model in ONNX where there is ONNX, else as scikit-learn's, with its signature, and
    inside it, as `servelab/`, the folder as it was. `logged` is the LoggedModel that it is to be."""
    from mlflow.models import Model

    described = Model(
        artifact_path=logged.artifact_location,
        run_id=logged.source_run_id,
        model_uuid=logged.model_id,
        model_id=logged.model_id,
    )
    if "onnx" in card.files:
        save_onnx(read_verified(folder, card, "onnx"), target, described)
    else:
        save_sklearn(folder, card, target, described)
    inside = target / "servelab"
    inside.mkdir()
    for file in ("card.json", *(file.file for file in card.files.values())):
        shutil.copyfile(folder / file, inside / file)
    if os.name == "posix":  # Windows could not delete them
        for path in target.rglob("*"):
            if path.is_file():
                path.chmod(READ_ONLY)


def save_onnx(data: bytes, target: Path, described) -> None:
    import mlflow.onnx
    import onnx
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    mlflow.onnx.save_model(
        onnx.load_from_string(data),
        target,
        mlflow_model=described,
        signature=signature(session.get_inputs(), session.get_outputs()),
        pip_requirements=mlflow.onnx.get_default_pip_requirements(),
        onnx_execution_providers=["CPUExecutionProvider"],
        save_as_external_data=False,
    )


def save_sklearn(folder: Path, card: Card, target: Path, described) -> None:
    import mlflow.sklearn

    format = "skops" if "skops" in card.files else "joblib"
    data = read_verified(folder, card, format)
    if format == "skops":
        import skops.io

        estimator = skops.io.loads(data, trusted=TRUSTED_TYPES)
    else:
        import joblib

        estimator = joblib.load(io.BytesIO(data))  # whose hash is the card's
    mlflow.sklearn.save_model(
        estimator,
        target,
        mlflow_model=described,
        serialization_format="skops" if format == "skops" else "cloudpickle",
        pip_requirements=mlflow.sklearn.get_default_pip_requirements(include_skops=format == "skops"),
    )


def signature(inputs, outputs):
    """What an ONNX model takes and gives. A single input has no name: an array is then all that it takes."""
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    def specs(tensors):
        known = [
            TensorSpec(
                np.dtype(NUMPY_TYPES[tensor.type]),
                tuple(
                    size if isinstance(size, int) and place else -1 for place, size in enumerate(tensor.shape)
                ),
                tensor.name if len(tensors) > 1 else None,
            )
            for tensor in tensors
        ]
        return Schema(known)

    return ModelSignature(specs(inputs), specs(outputs))
