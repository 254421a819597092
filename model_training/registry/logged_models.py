"""Models as MLflow logs them, before they are registered: files in the registry's place, which a training's
run and a version may both name."""

import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from model_training.card import Card
from model_training.registry.packaging import write_mlflow_model

DIGEST = "servelab.digest"  # on models and versions: the sha256 of the card
PENDING_SECONDS = 3600  # a model that is being written for longer is a crashed process's


def logged_model(client, experiment: str, digest: str):
    """The one of that card, whole; None where there is none. A training may have logged it."""
    found = client.search_logged_models([experiment], filter_string=f"tags.`{DIGEST}` = '{digest}'")
    return next((model for model in found if model.status == "READY"), None)


def log_model(client, experiment: str, folder: Path, card: Card, digest: str, run_id: str | None = None):
    """The model folder, logged. Where it fails nothing is left of it, and where the process dies, nothing for
    longer than until the next one is logged an hour later. Raises whatever MLflow raises."""
    sweep(client, experiment)
    model = client.create_logged_model(
        experiment, name=card.name, source_run_id=run_id, tags={DIGEST: digest}
    )
    try:
        with tempfile.TemporaryDirectory() as temporary:
            package = Path(temporary) / "model"
            write_mlflow_model(folder, card, package, model)
            client.log_model_artifacts(model.model_id, str(package))
        return client.finalize_logged_model(model.model_id, "READY")
    except BaseException:
        remove(client, model)
        raise


def sweep(client, experiment: str) -> None:
    """Forget what crashed processes have left half written: no version was made of it."""
    before = (datetime.now(UTC).timestamp() - PENDING_SECONDS) * 1000
    for model in client.search_logged_models([experiment]):
        if model.status == "PENDING" and DIGEST in model.tags and model.creation_timestamp < before:
            remove(client, model)


def remove(client, model) -> None:
    """As far as it can be."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    with suppress(Exception):
        get_artifact_repository(model.artifact_location).delete_artifacts()
    with suppress(Exception):
        client.delete_logged_model(model.model_id)
