"""What a person does with the registry: trainings that are logged, and the commands."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kit import commands, doctor
from kit import registry as kit_registry
from model_training.registry import releases, tracking
from model_training.registry.registry import Registry

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def trained(registry, tmp_path, monkeypatch, capsys):
    """`trained("iris", "--seed", "2")`: as `kit.py train` trains it; what was printed."""
    monkeypatch.setenv("MODELS_FOLDER", str(tmp_path / "models"))

    def train(*arguments: str) -> str:
        assert tracking.main([*arguments, "--root", str(tmp_path)]) == 0
        return capsys.readouterr().out

    return train


def test_a_training_is_logged_and_its_version_names_it(trained, registry, capsys):
    import mlflow

    assert "logged as the run iris " in trained("iris", "--seed", "11")
    assert releases.main(["register", "iris"]) == 0
    version = registry.versions("iris")[0]
    run = registry.client.get_run(version.run_id)
    assert run.info.status == "FINISHED" and run.data.params["seed"] == "11"
    assert run.data.params["parameters.logisticregression__C"] == "1.0"
    assert run.data.metrics["accuracy"] == version.metrics["accuracy"]
    assert len(registry.client.get_metric_history(run.info.run_id, "accuracy fold")) == 5
    files = {file.path for file in registry.client.list_artifacts(run.info.run_id)}
    assert {"card.json", "confusion_matrix.png"} <= files
    assert len(run.outputs.model_outputs) == 1
    assert mlflow.models.get_model_info(f"models:/iris/{version.version}").signature
    assert f"iris version {version.version}: {version.model_version}" in capsys.readouterr().out


@pytest.mark.parametrize("environment", ["embedded"], indirect=True)
def test_what_the_commands_say(trained, registry, capsys):
    def said(*arguments: str) -> str:
        code = releases.main([*arguments])
        out, error = capsys.readouterr()
        assert (code == 0) == (not error)
        return (out + error).strip()

    trained("diabetes")
    assert said("promote", "diabetes", "1") == "promote: the registry has no version 1 of diabetes"
    assert "no version yet: python kit.py register diabetes" in said("versions", "diabetes")
    assert said("register", "diabetes").endswith("to have it served: python kit.py promote diabetes 1")
    assert "nothing new to register" in said("register", "diabetes")
    assert said("promote", "diabetes", "1") == "diabetes version 1 is champion"
    trained("diabetes", "--seed", "2")
    said("register", "diabetes")
    assert said("challenger", "diabetes", "2").startswith("diabetes version 2 is the challenger")
    assert said("challenger", "diabetes", "none") == "diabetes has no challenger any more"
    assert said("promote", "diabetes", "2") == "diabetes version 2 is champion; it was version 1"
    listed = said("versions", "diabetes").splitlines()
    assert listed[0].startswith("diabetes version 2: ") and listed[0].endswith("  champion")
    assert said("rollback", "diabetes") == "diabetes version 1 is champion again; it was version 2"
    assert "no other champion" in said("rollback", "diabetes")
    assert "there is no model in" in said("register", "wine")
    assert "lower-case" in said("register", "../wine")
    assert "such as 3" in said("promote", "diabetes", "first")
    with pytest.raises(SystemExit, match="promote: the following arguments are required: version"):
        releases.main(["promote", "diabetes"])
    files = {
        file.path
        for version in registry.versions("diabetes")
        for file in registry.client.list_artifacts(version.run_id)
    }
    assert "residuals.png" in files
    assert doctor.registry().state == "ok" and "diabetes version 1" in doctor.registry().text


@pytest.mark.parametrize("environment", ["embedded"], indirect=True)
def test_a_registry_that_is_away_costs_the_run_and_never_the_model(trained, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:9")
    said = trained("iris")
    assert "not logged: " in said and "Connection refused" in said and len(said.splitlines()[-1]) < 150
    assert (tmp_path / "models" / "iris" / "card.json").exists()
    assert releases.main(["promote", "iris", "1"]) == 1
    error = capsys.readouterr().err
    assert "it is at http://127.0.0.1:9" in error and "secret" not in error and error.count("\n") == 1
    assert doctor.registry().state == "broken" and "secret" not in doctor.registry().text


def test_doctor_tells_where_the_registry_is(monkeypatch, tmp_path):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("REGISTRY_FOLDER", str(tmp_path))
    assert doctor.registry().state == "ok" and "kit.py register" in doctor.registry().text
    (tmp_path / "mlflow.db").write_bytes(b"no database" * 100)
    assert doctor.registry().state == "broken"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://u:secret@127.0.0.1/mlflow")
    assert doctor.registry().text == "in the database at postgresql://127.0.0.1/mlflow"


def test_only_a_training_that_a_person_asks_for_is_logged(monkeypatch, tmp_path):
    started = []
    monkeypatch.setattr(commands, "run_through", lambda command: started.append(command[2:]) or 0)
    monkeypatch.setattr(kit_registry, "run_through", lambda command: started.append(command[2:]) or 0)
    monkeypatch.setattr(commands, "MODEL", tmp_path / "model.pkl")
    monkeypatch.delenv("MODEL_PATH", raising=False)
    commands.train_if_none()
    commands.train(["wine", "--seed", "3"])
    commands.train(["tiny"])
    kit_registry.change("promote", ["iris", "2"])
    assert started == [
        ["model_training.train"],
        ["model_training.registry.tracking", "wine", "--seed", "3"],
        ["model_training.generator"],
        ["model_training.registry.releases", "promote", "iris", "2"],
    ]


def test_asking_where_the_registry_is_imports_no_mlflow():
    code = "import sys, model_training.registry.registry, model_training.registry.agent;"
    code += "print('mlflow' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True) == "False\n"


def test_mlflow_is_told_to_say_nothing_to_its_makers(registry: Registry):
    from mlflow.telemetry.utils import is_telemetry_disabled

    assert is_telemetry_disabled()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_any_moment_the_old_or_the_new_is_there():
    command = [sys.executable, "-m", "benchmarks.crashes", "--times", "4"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("killed 4 times: the old or the new, never torn\n")
