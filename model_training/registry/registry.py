"""The registry of models: MLflow's, by its own client. Versions do not change, aliases move.

SQLite and files in `.kit/registry` unless MLFLOW_TRACKING_URI says where else. Importing this module imports
no MLflow, which takes seconds: the first question does. https://mlflow.org/docs/latest/ml/model-registry"""

import json
import re
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from model_training.artifact import ArtifactError, load_path
from model_training.card import Card, CardError, read_card
from model_training.registry.logged_models import DIGEST, log_model, logged_model
from model_training.registry.sources import Sources
from model_training.registry.store import IS_NAME, Store, check_plain
from model_training.registry.tracking_server import (
    SQLITE,
    RegistryError,
    alone,
    is_server,
    make_file,
    own_source,
    told,
    tracking_uri,
)

EXPERIMENT = "servelab"
FOLDER = "servelab"  # inside a version: the model folder as it was
MODEL_VERSION = "servelab.version"
ALGORITHM, METRICS = "servelab.algorithm", "servelab.metrics"
CHAMPIONS = "servelab.champions"  # on the registered model: versions that were champion, the last one last
KEPT_CHAMPIONS = 20
IS_VERSION = re.compile(r"[1-9][0-9]{0,8}", re.ASCII).fullmatch


class Version(NamedTuple):
    """One version in the registry. `digest` is that of its card, by which a store knows it; None, with what
    follows, of versions that others than the kit made."""

    version: str
    aliases: list[str]
    created_at: str
    digest: str | None
    model_version: str | None
    algorithm: str | None
    metrics: dict[str, float]
    run_id: str | None


class Registry:
    """One person or process asks it at a time."""

    def __init__(self, sources: Sources | None = None) -> None:
        """Raises RegistryError (unavailable)."""
        uri = tracking_uri()
        import mlflow

        self.uri = uri
        with told("opening it"), alone(uri):
            if uri.startswith(SQLITE):
                make_file(Path(uri.removeprefix(SQLITE)))
            mlflow.set_tracking_uri(uri)
            mlflow.set_registry_uri(uri)
            self._client = mlflow.MlflowClient()
            if uri.startswith(SQLITE):
                self._client.search_registered_models(max_results=1)  # a file of an older version is told of
        self._sources = sources or Sources.of_environment(own_source(uri))

    @property
    def client(self):
        """MLflow's own."""
        return self._client

    def experiment(self) -> str:
        """The id of the experiment that trainings and models belong to."""
        with told("finding its experiment"):
            if found := self._client.get_experiment_by_name(EXPERIMENT):
                return found.experiment_id
            place = None if is_server(self.uri) else own_source(self.uri)
            try:
                return self._client.create_experiment(EXPERIMENT, artifact_location=place)
            except Exception:  # somebody was faster
                if found := self._client.get_experiment_by_name(EXPERIMENT):
                    return found.experiment_id
                raise

    def versions(self, name: str) -> list[Version]:
        """All of them, the newest first; none where nothing was registered under that name."""
        check(name)
        with told(f"listing the versions of {name}"):
            from mlflow.exceptions import MlflowException

            try:
                aliases = self._client.get_registered_model(name).aliases
            except MlflowException as error:
                if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                    return []
                raise
            found = self._client.search_model_versions(f"name='{name}'")
            names = {}
            for alias, version in aliases.items():
                names.setdefault(str(version), []).append(alias)
            known = [self._version(each, names.get(str(each.version), [])) for each in found]
            return sorted(known, key=lambda version: -int(version.version))

    def version(self, name: str, version: str) -> Version:
        """That one. Raises RegistryError."""
        check(name, version)
        try:
            with told(f"looking for version {version} of {name}"):
                found = self._client.get_model_version(name, version)
                return self._version(found, found.aliases)
        except RegistryError as error:
            if error.kind == "not-found":
                raise RegistryError(
                    "not-found", f"the registry has no version {version} of {name}"
                ) from error
            raise

    def resolve(self, name: str, alias: str) -> Version | None:
        """Which version the alias is; None where it is none. Raises RegistryError."""
        check(name)
        try:
            with told(f"looking for {alias} of {name}"):
                found = self._client.get_model_version_by_alias(name, alias)
                return self._version(found, found.aliases)
        except RegistryError as error:
            if error.kind == "not-found":
                return None
            raise

    @staticmethod
    def _version(found, aliases) -> Version:
        tags = found.tags or {}
        try:
            metrics = {str(name): float(value) for name, value in json.loads(tags[METRICS]).items()}
        except (KeyError, ValueError, TypeError, AttributeError):
            metrics = {}
        return Version(
            version=str(found.version),
            aliases=sorted(aliases),
            created_at=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC)
            .isoformat(timespec="seconds")
            .replace("+00:00", "Z"),
            digest=tags.get(DIGEST),
            model_version=tags.get(MODEL_VERSION),
            algorithm=tags.get(ALGORITHM),
            metrics=metrics,
            run_id=found.run_id or None,
        )

    def register(self, folder: Path, name: str) -> tuple[Version, bool]:
        """A new version of the model in `folder`, or the one there is of the same card, and whether it is
        new. All of it is there, or nothing. Raises RegistryError."""
        check(name)
        card, digest = verified(folder)
        if card.name != name:
            raise RegistryError("refused", f"the model in that folder is called {card.name}, not {name}")
        if known := self._known(card.name, digest):
            self.verify(card.name, known.version)
            return known, False
        from mlflow.exceptions import MlflowException

        with told(f"registering {card.name}"):
            experiment = self.experiment()
            model = logged_model(self._client, experiment, digest)
            model = model or log_model(self._client, experiment, folder, card, digest)
            with suppress(MlflowException):  # there is one already
                self._client.create_registered_model(card.name, tags={"servelab.title": card.title})
            made = self._client.create_model_version(
                card.name,
                source=model.artifact_location,
                run_id=model.source_run_id,
                tags={
                    DIGEST: digest,
                    MODEL_VERSION: card.version,
                    ALGORITHM: card.algorithm,
                    METRICS: json.dumps({name: metric.test for name, metric in card.metrics.items()}),
                },
                model_id=model.model_id,
            )
            first = self._known(card.name, digest)
            if first and first.version != str(made.version):  # somebody registered the same meanwhile
                self._client.delete_model_version(card.name, str(made.version))
                return first, False
            return self._version(made, []), True

    def _known(self, name: str, digest: str) -> Version | None:
        return next((each for each in reversed(self.versions(name)) if each.digest == digest), None)

    def promote(self, name: str, version: str) -> Version:
        """From now on that version is champion, if its files are those that were registered. Raises
        RegistryError."""
        self.verify(name, version)
        before = self.resolve(name, "champion")
        if before is None or before.version != version:
            with told(f"promoting version {version} of {name}"):
                champions = self._champions(name)
                if before and champions[-1:] != [before.version]:
                    champions.append(before.version)  # somebody else had promoted it
                # The history first: a crash in between leaves one more entry in it, which rollback passes by.
                self._note_champions(name, [*champions, version])
                self._client.set_registered_model_alias(name, "champion", version)
        return self.version(name, version)

    def rollback(self, name: str) -> Version:
        """The version that was champion before is so again. Raises RegistryError."""
        now = self.resolve(name, "champion")
        if now is None:
            raise RegistryError("not-found", f"{name} has no champion yet: promote a version")
        champions = self._champions(name)
        if now.version in champions:  # else somebody else promoted it, and the last one was before it
            champions = champions[: len(champions) - 1 - champions[::-1].index(now.version)]
        there = {each.version for each in self.versions(name)}
        while champions and champions[-1] not in there - {now.version}:
            champions.pop()
        if not champions:
            raise RegistryError("conflict", f"{name} had no other champion before version {now.version}")
        self.verify(name, champions[-1])
        with told(f"rolling {name} back"):
            self._client.set_registered_model_alias(name, "champion", champions[-1])
            self._note_champions(name, champions)
        return self.version(name, champions[-1])

    def challenge(self, name: str, version: str) -> Version:
        """From now on that version is challenger. Raises RegistryError."""
        self.verify(name, version)
        with told(f"making version {version} of {name} the challenger"):
            self._client.set_registered_model_alias(name, "challenger", version)
        return self.version(name, version)

    def end_challenge(self, name: str) -> None:
        """There is no challenger any more. Raises RegistryError."""
        check(name)
        with told(f"taking the challenger of {name} away"):
            self._client.delete_registered_model_alias(name, "challenger")

    def _champions(self, name: str) -> list[str]:
        noted = self._client.get_registered_model(name).tags.get(CHAMPIONS, "")
        return [version for version in noted.split(",") if IS_VERSION(version)]

    def _note_champions(self, name: str, champions: list[str]) -> None:
        self._client.set_registered_model_tag(name, CHAMPIONS, ",".join(champions[-KEPT_CHAMPIONS:]))

    def verify(self, name: str, version: str) -> str:
        """The digest of a version whose files are those that were registered. Raises RegistryError."""
        with tempfile.TemporaryDirectory() as temporary:
            return self.fetch(name, version, Store(Path(temporary)))

    def fetch(self, name: str, version: str, store: Store) -> str:
        """Put that version into the store, where it is not there yet, and return its digest. Raises
        RegistryError: `refused` where its files are not those that were registered, or come from a place
        that is not allowed."""
        expected = self.version(name, version).digest
        if expected is None:
            raise RegistryError(
                "refused",
                f"version {version} of {name} was not registered by the kit: python kit.py register",
            )
        if store.is_whole(name, expected):
            return expected
        with told(f"fetching version {version} of {name}"):
            source = self._client.get_model_version_download_uri(name, version)
            with store.incoming(name) as incoming:
                try:
                    self._sources.download(f"{source.rstrip('/')}/{FOLDER}", incoming, expected)
                    return store.add(name, incoming)
                except (ArtifactError, CardError) as error:
                    raise RegistryError(
                        "refused",
                        f"the files of version {version} of {name} are not those that were registered: "
                        "versions never change; register the model anew",
                        str(error),
                    ) from error


def check(name: str, version: str = "1") -> None:
    """Raises RegistryError for what is no model's name, or no version's number."""
    if not IS_NAME(name):
        raise RegistryError(
            "invalid", "expected a model's name of lower-case letters, digits, '.', '_' and '-'"
        )
    if not IS_VERSION(version):
        raise RegistryError("invalid", "expected a version's number, such as 3")


def verified(folder: Path) -> tuple[Card, str]:
    """The card of a model folder that loads and answers as it should, and the card's digest. Raises
    RegistryError (refused)."""
    try:
        card = read_card(folder / "card.json")
        check_plain(folder, card)
        load_path(folder)
        return card, sha256((folder / "card.json").read_bytes()).hexdigest()
    except (ArtifactError, CardError, OSError) as error:
        raise RegistryError("refused", "the model cannot be registered", str(error)) from error
