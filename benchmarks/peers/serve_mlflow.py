"""MLflow: `mlflow models serve` with one worker. It has no batching.

The model is saved in MLflow's own format first. https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally"""

import logging
import os
import sys
import tempfile
from pathlib import Path

import joblib
import mlflow
from engine import MODEL_FILE, PORT


def save(folder):
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    named = ["mlflow", "scikit-learn", "onnxruntime"]  # or it would seek what the model needs, for seconds
    if MODEL_FILE.endswith(".onnx"):
        import onnx

        options = {"intra_op_num_threads": 1, "inter_op_num_threads": 1}
        model = onnx.load(MODEL_FILE)
        mlflow.onnx.save_model(model, folder, onnx_session_options=options, pip_requirements=named)
    else:
        trees = ["sklearn.tree._tree.Tree"]  # MLflow saves with skops, which asks
        model = joblib.load(MODEL_FILE)
        mlflow.sklearn.save_model(model, folder, pip_requirements=named, skops_trusted_types=trees)


if __name__ == "__main__":
    folder = str(Path(tempfile.mkdtemp()) / "iris")
    save(folder)
    from mlflow.pyfunc import scoring_server

    command, env = scoring_server.get_cmd(folder, PORT, "127.0.0.1", nworkers=1)
    command = [sys.executable, "-m", *command.split(), "--no-access-log", "--log-level", "warning"]
    os.execve(sys.executable, command, env)
