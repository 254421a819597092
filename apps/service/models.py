"""Models: which there are, and the card of the one that is served."""

from typing import Literal

from apps.service.bodies import Answer
from apps.service.model import Model
from apps.service.problems import Problem


class ServedModel(Answer):
    name: str
    version: str
    format: Literal["onnx", "skops", "joblib"]


class ListedModel(ServedModel):
    state: Literal["ready"]


class ModelList(Answer):
    models: list[ListedModel]


class Models:
    def __init__(self, model: Model) -> None:
        self._model = model

    def card(self) -> bytes:
        """The card, as JSON. Raises Problem (503) while there is no model."""
        return self._model.serving.card_json

    def listed(self) -> ModelList:
        """Those that can be asked now: one or none."""
        try:
            found = self._model.serving
        except Problem:
            return ModelList(models=[])
        entry = ListedModel(name=found.name, version=found.version, format=found.format, state="ready")
        return ModelList(models=[entry])
