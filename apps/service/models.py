"""Models: which there are, and the card of the one that is served."""

from typing import Literal

from apps.service.bodies import Answer
from apps.service.inference import named
from apps.service.model import Model, Serving
from apps.service.problems import Problem


class ServedModel(Answer):
    name: str
    version: str
    format: Literal["onnx", "skops", "joblib"]


class ListedModel(ServedModel):
    """With a registry: its number for the version, and whether it is the active one or the challenger."""

    state: Literal["ready"]
    registry_version: str | None = None
    role: Literal["active", "challenger"] | None = None


class ModelList(Answer):
    """`following`: the name of the registry's model that the server follows, there already before it has any
    version of it."""

    models: list[ListedModel]
    following: str | None = None


class Models:
    def __init__(self, model: Model, registry=None) -> None:
        self._model, self._registry = model, registry

    def chosen(self, context) -> Serving:
        """The model that answers this request. Raises Problem (503) while there is none."""
        return self._model.serving if self._registry is None else self._registry.rollout.serving_for(context)

    def named(self, context, name: str, version: str | None) -> Serving:
        """The model that a path names; where it names no version, the one that answers this request. Raises
        Problem 404, 503."""
        chosen = self.chosen(context)
        others = [] if version is None or self._registry is None else self._registry.served()
        return named(name, version, [chosen, *(serving for *_, serving in others)])

    def card(self) -> bytes:
        """The card, as JSON. Raises Problem (503) while there is no model."""
        return self._model.serving.card_json

    def versions(self, name: str) -> list[str]:
        """Those of the model of that name that can be asked now."""
        return [each.version for each in self.listed().models if each.name == name]

    def listed(self) -> ModelList:
        """Those that can be asked now: one or none, and with a registry the challenger."""
        if self._registry is not None:
            found = [listed(*one) for one in self._registry.served()]
            return ModelList(models=found, following=self._registry.versions.name)
        try:
            return ModelList(models=[listed(None, None, self._model.serving)])
        except Problem:
            return ModelList(models=[])


def listed(role: str | None, registry_version: str | None, found: Serving) -> ListedModel:
    return ListedModel(
        name=found.name,
        version=found.version,
        format=found.format,
        state="ready",
        registry_version=registry_version,
        role=role,
    )
