"""Train a model and log the training as a run of MLflow's: python -m model_training.registry.tracking wine

A run has what decided the training, how good the model is, a plot of where it errs, the model with its
signature, and its card. A registry that cannot take it costs the run, never the model."""

import argparse
import io
import json
import sys
import time
from pathlib import Path

import joblib
from matplotlib.figure import Figure

from model_training import datasets, train
from model_training.artifact import read_verified
from model_training.card import Card
from model_training.registry.logged_models import DIGEST, log_model
from model_training.registry.registry import Registry, verified
from model_training.registry.tracking_server import PROJECT, RegistryError, quiet, told


def log(folder: Path) -> str:
    """Log the training that wrote the model folder, and return the run's name. Raises RegistryError."""
    registry = Registry()
    card, digest = verified(folder)
    experiment = registry.experiment()
    with told("logging the training"):
        client = registry.client
        run = client.create_run(
            experiment,
            run_name=f"{card.name} {card.version}",
            tags={DIGEST: digest, "mlflow.note.content": card.title, "mlflow.source.name": "kit.py train"},
        )
        number = run.info.run_id
        try:
            model = log_model(client, experiment, folder, card, digest, number)
            client.log_batch(number, metrics=metrics(card, number, model.model_id), params=parameters(card))
            for name, figure in plots(folder, card).items():
                client.log_figure(number, figure, f"{name}.png")
            client.log_artifact(number, str(folder / "card.json"))
            from mlflow.entities import LoggedModelOutput

            client.log_outputs(number, [LoggedModelOutput(model.model_id, step=0)])
        except BaseException:
            client.set_terminated(number, "FAILED")
            raise
        client.set_terminated(number)
    return run.info.run_name


def parameters(card: Card) -> list:
    """What decided the training, as MLflow's parameters: texts."""
    from mlflow.entities import Param

    found = {}
    for name, value in card.inputs.items():
        for below, one in value.items() if isinstance(value, dict) else [(None, value)]:
            found[f"{name}.{below}" if below else name] = one
    return [
        Param(name, value if isinstance(value, str) else json.dumps(value)) for name, value in found.items()
    ]


def metrics(card: Card, run_id: str, model_id: str) -> list:
    """By name: on the test rows; `baseline`: the baseline's; `fold`: each of the cross-validation."""
    from mlflow.entities import Metric

    now, found = int(time.time() * 1000), []
    for name, metric in card.metrics.items():
        values = [(name, metric.test, 0), (f"{name} baseline", metric.baseline, 0)]
        values += [(f"{name} fold", value, fold) for fold, value in enumerate(metric.folds)]
        found += [
            Metric(key, value, now, step, model_id=model_id, run_id=run_id) for key, value, step in values
        ]
    return found


def plots(folder: Path, card: Card) -> dict[str, Figure]:
    """Where the model errs on the test rows: the classes it takes for others, or by how much it misses."""
    from sklearn.metrics import ConfusionMatrixDisplay, PredictionErrorDisplay

    _, rows, _, truth = train.split(datasets.load(card.inputs["dataset"]), card.inputs["seed"])
    predicted = joblib.load(io.BytesIO(read_verified(folder, card, "joblib"))).predict(rows)
    if predicted.ndim > 1:
        return {}
    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.subplots()
    if card.classes:
        labels = {"labels": card.raw_labels, "display_labels": card.classes}
        ConfusionMatrixDisplay.from_predictions(
            truth, predicted, **labels, ax=axes, cmap="Blues", colorbar=False
        )
        axes.set_title(f"{len(truth)} test rows, which class each was taken for")
        return {"confusion_matrix": figure}
    PredictionErrorDisplay.from_predictions(truth, predicted, kind="residual_vs_predicted", ax=axes)
    axes.set_title(f"{len(truth)} test rows, by how much each was missed")
    return {"residuals": figure}


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    if code := train.main(argv):
        return code
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("dataset", nargs="?", default="iris")
    parser.add_argument("--root", type=Path, default=PROJECT)
    options = parser.parse_known_args(argv)[0]
    sys.stdout.flush()  # the model is there, whatever comes
    quiet(seconds=5, retries=0)
    try:
        name = log(options.root / "models" / options.dataset)
        print(f"  logged as the run {name}, which python kit.py registry shows")
    except RegistryError as error:
        print(f"  not logged: {error}")
    except Exception as error:  # the model is trained: nothing may make that a failure
        print(f"  not logged: {type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
