"""The registry over MLflow's own client: in SQLite and files, and at a real server."""

import errno
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from model_training.registry.registry import CHAMPIONS, Registry
from model_training.registry.sources import SourceError, Sources
from model_training.registry.store import Store
from model_training.registry.tracking_server import RegistryError
from tests.docs.blocks import block


def refused(kind: str, do, *given) -> RegistryError:
    with pytest.raises(RegistryError) as found:
        do(*given)
    assert found.value.kind == kind, found.value
    return found.value


def test_a_model_is_registered_once(registry, model):
    folder = model("once")
    version, new = registry.register(folder, "once")
    assert new and version.version == "1" and version.model_version == f"{1:012d}"
    assert version.metrics == {"accuracy": pytest.approx(0.9667)} and version.created_at.endswith("Z")
    assert registry.register(folder, "once") == (version, False)
    assert registry.register(model("once", 2), "once")[0].version == "2"
    assert [each.version for each in registry.versions("once")] == ["2", "1"]
    assert registry.versions("never") == []


def test_mlflows_own_client_lists_loads_and_promotes(registry, model, capsys):
    import mlflow

    registry.register(model("official"), "official")
    registry.register(model("official", 2), "official")
    registry.promote("official", "1")
    text = block("python", "mlflow.pyfunc.load_model").replace("iris", "official")
    exec(text.replace("sqlite:///.kit/registry/mlflow.db", registry.uri), {})  # as the book has it
    said = capsys.readouterr().out
    assert f"2 {2:012d}" in said and f"1 {1:012d}" in said and "'label': array([0]" in said
    client = mlflow.MlflowClient()
    loaded = mlflow.pyfunc.load_model("models:/official@champion")
    assert loaded.metadata.signature.inputs.inputs[0].shape == (-1, 4)
    rows = np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]], np.float32)
    assert loaded.predict(rows)["label"].tolist() == [0, 2]
    client.set_registered_model_alias("official", "champion", "2")
    assert registry.resolve("official", "champion").version == "2"
    assert registry.rollback("official").version == "1"


def test_without_onnx_it_is_scikit_learns(registry, model, tmp_path):
    import mlflow

    folder = model("plain")
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    del card["files"]["onnx"]
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    registry.register(folder, "plain")
    loaded = mlflow.pyfunc.load_model("models:/plain/1")
    assert loaded.predict(np.array([[5.1, 3.5, 1.4, 0.2]])).tolist() == [0]


def test_champions_are_rolled_back_one_by_one(registry, model):
    for number in (1, 2, 3):
        registry.register(model("champions", number), "champions")
        registry.promote("champions", str(number))
    assert registry.version("champions", "3").aliases == ["champion"]
    assert registry.rollback("champions").version == "2"
    assert registry.rollback("champions").version == "1"
    assert "no other champion" in refused("conflict", registry.rollback, "champions").detail
    registry.promote("champions", "3")
    registry.promote("champions", "1")
    assert registry.rollback("champions").version == "3"


@pytest.mark.parametrize("history, rolled_back", [("1,2,3", "1"), ("1,2", "1"), ("1", "1")])
def test_a_promotion_that_was_cut_off_does_not_confuse_a_rollback(registry, model, history, rolled_back):
    name = f"cut-{history.replace(',', '-')}"
    for number in (1, 2, 3):
        registry.register(model(name, number), name)
    registry.promote(name, "1")
    registry.promote(name, "2")
    registry.client.set_registered_model_tag(name, CHAMPIONS, history)
    assert registry.rollback(name).version == rolled_back


def test_a_challenger_comes_and_goes(registry, model):
    registry.register(model("challenged"), "challenged")
    assert registry.challenge("challenged", "1").aliases == ["challenger"]
    registry.end_challenge("challenged")
    registry.end_challenge("challenged")
    assert registry.resolve("challenged", "challenger") is None
    refused("not-found", registry.challenge, "challenged", "2")
    refused("not-found", registry.promote, "nobody", "1")
    refused("not-found", registry.rollback, "challenged")


@pytest.mark.parametrize("name", ["../etc", "a/b", "A", "", "a" * 65, "x\n", "é", ".hidden"])
def test_what_is_no_name_is_refused(registry, model, name, tmp_path):
    for do in (registry.versions, registry.rollback, registry.end_challenge):
        refused("invalid", do, name)
    for do in (registry.promote, registry.challenge, registry.version):
        refused("invalid", do, name, "1")
    refused("invalid", registry.register, tmp_path, name)


@pytest.mark.parametrize("version", ["0", "-1", "1.0", "../1", "", "1\n", "٣", "9" * 10, "latest"])
def test_what_is_no_version_is_refused(registry, version, tmp_path):
    refused("invalid", registry.promote, "iris", version)
    refused("invalid", registry.fetch, "iris", version, Store(tmp_path))


def test_a_folder_that_does_not_answer_as_its_card_says_is_not_registered(registry, model):
    folder = model("wrong")
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    card["golden"][0]["prediction"] = 1 - card["golden"][0]["prediction"]
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    refused("refused", registry.register, folder, "wrong")
    refused("refused", registry.register, model("other"), "wrong")
    assert registry.versions("wrong") == []


def files_of(registry: Registry, request, name: str) -> Path:
    """Where a version's files really are."""
    location = registry.client.get_model_version_download_uri(name, "1")
    if location.startswith("file:"):
        return Path(location.removeprefix("file://"))
    return (
        request.getfixturevalue("server").folder / "artifacts" / location.removeprefix("mlflow-artifacts:/")
    )


@pytest.mark.parametrize("change", ["card", "model", "gone", "link"])
def test_a_version_that_was_changed_is_noticed(registry, model, request, change, tmp_path):
    name = f"changed-{change}"
    registry.register(model(name), name)
    files = files_of(registry, request, name) / "servelab"
    if os.name == "posix":
        assert (files / "card.json").stat().st_mode & 0o222 == 0 or "server" in request.node.name
    if change == "card":
        (files / "card.json").chmod(0o644)
        (files / "card.json").write_bytes((files / "card.json").read_bytes().replace(b"setosa", b"sneaky"))
    elif change == "model":
        (files / "model.onnx").chmod(0o644)
        with (files / "model.onnx").open("ab") as file:
            file.write(b"\0")
    elif change == "gone":
        (files / "model.onnx").unlink()
    else:
        shutil.move(files / "model.onnx", tmp_path / "elsewhere.onnx")
        (files / "model.onnx").symlink_to(tmp_path / "elsewhere.onnx")
    store = Store(tmp_path / "store")
    if change == "link" and "server" in request.node.name:
        return  # what a server follows on its own disk is its own matter: the bytes are those of the hash
    assert "never change" in refused("refused", registry.fetch, name, "1", store).detail
    refused("refused", registry.promote, name, "1")
    refused("refused", registry.register, model(name, 7) and tmp_path / "models" / f"{name}-1", name)
    assert not [path for path in (tmp_path / "store").rglob("*") if path.is_file()]


def test_a_version_that_others_made_of_files_elsewhere_is_not_fetched(registry, model, tmp_path):
    import mlflow

    registry.register(model("else"), "else")
    digest = registry.version("else", "1").digest
    client = mlflow.MlflowClient()
    try:
        made = client.create_model_version(
            "else", (tmp_path / "models" / "else-1").as_uri(), tags={"servelab.digest": digest}
        )
    except mlflow.MlflowException:
        assert registry.uri.startswith("http")  # the server itself refuses
        return
    found = refused("refused", registry.fetch, "else", str(made.version), Store(tmp_path / "store"))
    assert "MODEL_SOURCES" in found.more and not list((tmp_path / "store").rglob("card.json"))


def test_the_operator_says_where_models_come_from(registry, model, tmp_path, monkeypatch):
    registry.register(model("sourced"), "sourced")
    monkeypatch.setenv("MODEL_SOURCES", "s3://bucket/models, /srv/models")
    refused("refused", Registry().fetch, "sourced", "1", Store(tmp_path / "store"))
    own = registry.client.get_model_version_download_uri("sourced", "1")
    monkeypatch.setenv("MODEL_SOURCES", f"s3://bucket/models,{own}")
    assert Registry().fetch("sourced", "1", Store(tmp_path / "store"))


@pytest.mark.parametrize(
    "location",
    [
        *("http://169.254.169.254/", "https://bucket/models/x", "s3://other/models/x", "s3://bucket/modelsx"),
        *("s3://bucket/models/../x", "s3://bucket/models/%2e%2e/x", "s3://bucket/models/%252e%252e/x"),
        *("file:///etc", "/etc", "file://host/srv/models/x", "/srv/models/../../etc", "models/x", ""),
        *(
            "mlflow-artifacts://host/1",
            "s3://bucket/models/x?a",
            "s3://bucket/models/x#a",
            "s3://a@bucket/models",
        ),
        *("s3://bucket/models/a\\..\\x", "s3://bucket/models/a\0", "runs:/x", "models:/x/1"),
    ],
)
def test_nothing_is_fetched_from_anywhere_else(location):
    with pytest.raises(SourceError):
        Sources(["s3://bucket/models", "/srv/models", "mlflow-artifacts:/"]).check(location)


@pytest.mark.parametrize(
    "location", ["s3://bucket/models/x/y", "/srv/models/x", "file:///srv/models/x", "mlflow-artifacts:/1/x"]
)
def test_what_is_allowed_may_be_fetched(location):
    Sources(["s3://bucket/models", "/srv/models", "mlflow-artifacts:/"]).check(location)


def test_a_card_that_names_files_elsewhere_is_refused(iris_exported, tmp_path):
    folder = shutil.copytree(iris_exported, tmp_path / "iris")
    shutil.copy(folder / "model.onnx", tmp_path / "model.onnx")
    text = (folder / "card.json").read_text(encoding="utf-8")
    (folder / "card.json").write_text(text.replace('"model.onnx"', '"../model.onnx"'), encoding="utf-8")
    with pytest.raises(Exception, match="in the card's folder"):
        Store(tmp_path / "store").add("iris", folder)
    assert not [path for path in (tmp_path / "store").rglob("*") if path.is_file()]


def test_a_full_disk_leaves_no_version(model, tmp_path, monkeypatch):
    small = tmp_path / "small"
    small.mkdir()
    mounted = shutil.which("mount") and os.name == "posix"
    mounted = (
        mounted
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", small], capture_output=True
        ).returncode
    )
    try:
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        monkeypatch.delenv("MODEL_SOURCES", raising=False)
        monkeypatch.setenv("REGISTRY_FOLDER", str(small))
        registry = Registry()
        registry.register(model("full"), "full")
        registry.promote("full", "1")
        if mounted:
            (small / "ballast").write_bytes(bytes(shutil.disk_usage(small).free - 20_000))
        else:
            monkeypatch.setattr(shutil, "copyfileobj", no_space)
        found = refused("disk-full", registry.register, model("full", 2), "full")
        assert "free some" in found.detail
        assert [each.version for each in registry.versions("full")] == ["1"]
        assert registry.resolve("full", "champion").version == "1"
        left = [path for path in small.glob("artifacts/models/*") if any(path.rglob("*"))]
        assert len(left) == 1, left
        (small / "ballast").unlink() if mounted else monkeypatch.undo()
        if not mounted:
            monkeypatch.setenv("REGISTRY_FOLDER", str(small))
        assert registry.register(tmp_path / "models" / "full-2", "full")[1]
    finally:
        if mounted:
            subprocess.run(["umount", "-l", small], check=True)


def no_space(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")
