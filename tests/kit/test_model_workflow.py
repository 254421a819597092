"""`.github/workflows/model.yml`: its very commands, in its order, against a registry of the test's own."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from model_training.datasets import LOADERS
from tests.kit.project import ROOT, Project

TEXT = (ROOT / ".github" / "workflows" / "model.yml").read_text(encoding="utf-8")
WORKFLOW = yaml.safe_load(TEXT)
ON = WORKFLOW[True]  # YAML's word for `on`
JOB = WORKFLOW["jobs"]["ship"]
BASH = shutil.which("bash")
needs_bash = pytest.mark.skipif(os.name == "nt" or not BASH, reason="needs bash")


class Run:
    """One run of the workflow, as GitHub would do it: each step's condition, its environment and its outputs.
    `ran` has the names of the steps that ran, and their exit codes."""

    def __init__(self, project: Project, known: dict[str, str]) -> None:
        self.project, self.known, self.ran, self.said = project, known, {}, ""
        self.summary = project.folder / "summary.md"
        self.env = {name: self.value(text) for name, text in JOB["env"].items()}
        assert JOB["defaults"]["run"]["shell"] == "bash"
        for step in JOB["steps"]:
            if "run" in step and self.wanted(step.get("if", "success()")):
                self.do(step)

    def value(self, text: str) -> str:
        """With ${{ a || b || 'c' }} replaced by the first of them that is not empty."""

        def first(found: re.Match) -> str:
            names = [part.strip() for part in found[1].split("||")]
            values = [name[1:-1] if name[0] == "'" else self.known.get(name, "") for name in names]
            return next(filter(None, values), "")

        return re.sub(r"\$\{\{(.+?)\}\}", first, text)

    def wanted(self, condition: str) -> bool:
        if condition == "always() && steps.check.outcome != 'skipped'":
            return "Check" in self.ran
        if found := re.fullmatch(r"env\.(\w+) != '(\w+)'", condition):
            return self.succeeded and self.env[found[1]] != found[2]
        assert condition == "success()", f"this test does not know the condition {condition}"
        return self.succeeded

    @property
    def succeeded(self) -> bool:
        return not any(self.ran.values())

    def do(self, step: dict) -> None:
        told = self.project.folder / "outputs"
        told.unlink(missing_ok=True)
        env = {name: self.value(text) for name, text in step.get("env", {}).items()}
        env |= {"GITHUB_OUTPUT": str(told), "GITHUB_STEP_SUMMARY": str(self.summary)}
        done = subprocess.run(
            [BASH, "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.project.folder,
            env=self.project.env | self.env | env,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=100,
        )
        self.ran[step["name"]] = done.returncode
        self.said += done.stdout + done.stderr
        for line in told.read_text(encoding="utf-8").splitlines() if told.exists() else []:
            name, _, value = line.partition("=")
            self.known[f"steps.{step['id']}.outputs.{name}"] = value


@pytest.fixture
def workflow(classroom: Project, tmp_path: Path):
    """Runs it in that project; `python` is the system's, as setup-python has it."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys._base_executable)
    classroom.env["PATH"] = os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]])
    classroom.env.pop("PYTHONDONTWRITEBYTECODE", None)
    database = tmp_path / "mlflow.db"

    def run(**inputs: str) -> Run:
        known = {f"inputs.{name}": value for name, value in inputs.items()}
        return Run(classroom, known | {"vars.MLFLOW_TRACKING_URI": f"sqlite:///{database.as_posix()}"})

    run.database = database
    return run


@needs_bash
@pytest.mark.timeout(600)  # it trains, registers and promotes twice
def test_a_good_model_is_registered_and_promoted_and_one_that_learned_nothing_is_not(workflow, classroom):
    good = workflow(name="iris")
    steps = [step["name"] for step in JOB["steps"] if "run" in step]
    assert good.ran == dict.fromkeys(steps, 0), good.said
    summary = good.summary.read_text(encoding="utf-8")
    assert re.search(r"## iris [0-9a-f]{12}: all \d+ checks passed", summary)
    assert "| passed | contract | one server, and the other |" in summary

    training = classroom.folder / "model_training" / "train.py"
    text = training.read_text(encoding="utf-8")
    shuffled = "model.fit(X_train, y_train[::-1])"  # the split has mixed them: it learns from others' answers
    assert text.count("model.fit(X_train, y_train)") == 1
    try:
        training.write_text(text.replace("model.fit(X_train, y_train)", shuffled), encoding="utf-8")
        bad = workflow(name="iris", then="challenger")
    finally:
        training.write_text(text, encoding="utf-8")
    assert {name: code for name, code in bad.ran.items() if code} == {"Check": 1}, bad.said
    assert "Register" not in bad.ran and "Promote" not in bad.ran
    assert "check: quality: accuracy on 30 held-out rows: expected at least 0.85" in bad.said
    assert "check: champion: accuracy in the card" in bad.said  # it is compared with the good one
    assert "**failed**" in bad.summary.read_text(encoding="utf-8")

    with closing(sqlite3.connect(workflow.database)) as registry:  # MLflow's tables, without its import
        assert registry.execute("SELECT name, version FROM model_versions").fetchall() == [("iris", 1)]
        found = registry.execute("SELECT alias, version FROM registered_model_aliases").fetchall()
        assert found == [("champion", 1)]


@needs_bash
def test_without_a_registry_nothing_is_trained(classroom):
    run = Run(classroom, {})
    assert run.ran == {"A registry that lasts longer than this machine": 1}
    assert "Set MLFLOW_TRACKING_URI" in run.said


def test_it_offers_every_dataset_and_lets_nobody_write_into_its_commands():
    inputs = ON["workflow_dispatch"]["inputs"]
    assert inputs["name"]["options"] == [*LOADERS]
    assert inputs["then"]["options"] == ["promote", "challenger", "nothing"]
    for step in JOB["steps"]:
        assert "${{" not in step.get("run", ""), "what is put into a command may be a command"
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert WORKFLOW["concurrency"]["cancel-in-progress"] is False
    names = [step.get("name", step.get("uses")) for step in JOB["steps"]]
    in_order = ["Train", "Check", "Register", "Promote"]
    assert [name for name in names if name in in_order] == in_order
    always = [step for step in JOB["steps"] if "always()" in step.get("if", "")]
    assert always
    assert not any("register" in str(step) or "promote" in str(step) for step in always)
