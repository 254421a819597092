"""Where models may be fetched from: the registry's own place for files, and what the operator allows."""

import hashlib
import os
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from model_training.artifact import FileMissingError, HashMismatchError, UnreadableError
from model_training.card import MAX_BYTES, read_card
from model_training.registry.store import check_plain


class SourceError(UnreadableError):
    """A place from which nothing is fetched."""


class Sources:
    """Prefixes of locations, such as `s3://bucket/models`, `mlflow-artifacts:/` or `/srv/models`."""

    def __init__(self, allowed: list[str]) -> None:
        """Raises SourceError for what is no location."""
        self._allowed = [parts(each) for each in allowed]

    @classmethod
    def of_environment(cls, own: str) -> "Sources":
        """Those in MODEL_SOURCES, with commas between, or the registry's own alone."""
        given = [each.strip() for each in os.environ.get("MODEL_SOURCES", "").split(",") if each.strip()]
        return cls(given or [own])

    def check(self, location: str) -> None:
        """Raises SourceError where nothing may be fetched from there."""
        scheme, host, path = parts(location)
        for allowed_scheme, allowed_host, allowed_path in self._allowed:
            if (scheme, host) == (allowed_scheme, allowed_host) and path[: len(allowed_path)] == allowed_path:
                return
        raise SourceError(f"{location} is not among the places of MODEL_SOURCES, so nothing was fetched")

    def download(self, location: str, folder: Path, digest: str) -> None:
        """The model folder at `location`: its card, which is that of the digest, and the files that it names;
        nothing else is asked for. Raises ArtifactError, CardError, and whatever MLflow raises."""
        self.check(location)
        card = self._file(location, "card.json", folder)
        if card.stat().st_size > MAX_BYTES or hashlib.sha256(card.read_bytes()).hexdigest() != digest:
            raise HashMismatchError("its card is not the one that was registered")
        described = read_card(card)
        check_plain(folder, described)
        for file in described.files.values():
            self._file(location, file.file, folder)

    def _file(self, location: str, name: str, folder: Path) -> Path:
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException

        if urlsplit(location).scheme in ("file", ""):
            path = Path(url2pathname(urlsplit(location).path)) / name
            if path.is_symlink() or (path.exists() and not path.is_file()):
                raise SourceError(f"{path} is no plain file")
            self.check(path.resolve().as_uri())  # a folder above it may be a link
        try:
            download_artifacts(artifact_uri=f"{location}/{name}", dst_path=str(folder))
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST" and "404 Client Error" not in str(error):
                raise
            raise FileMissingError(f"{location}/{name} is not there") from error
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise SourceError(f"{name} is no plain file")
        return path


def parts(location: str) -> tuple[str, str, tuple[str, ...]]:
    """Scheme, host, and the names of the path. Raises SourceError for a location with `..`, a query or
    anything else that could mean another one."""
    if Path(location).is_absolute():
        location = Path(location).as_uri()
    found = urlsplit(location)
    path = found.path
    while (plain := unquote(path)) != path:
        path = plain
    names = tuple(name for name in path.split("/") if name)
    if not found.scheme or found.query or found.fragment or "@" in found.netloc:
        raise SourceError(f"{location} is no location of a model")
    if any(name in (".", "..") or "\\" in name or not name.isprintable() for name in names):
        raise SourceError(f"{location} is no location of a model")
    return found.scheme.lower(), found.netloc.lower(), names
