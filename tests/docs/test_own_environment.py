"""An environment of one's own, made with pip alone as the README says."""

import os
import shutil
import sys

import pytest

from tests.docs.blocks import BASH, answers_when_started, block, run


@pytest.mark.skipif(
    not (os.environ.get("CI") and BASH and os.name != "nt"), reason="downloads everything: only on CI"
)
@pytest.mark.timeout(1500)
def test_an_environment_of_ones_own_with_pip_alone(tmp_path, project):
    own = shutil.copytree(
        project, tmp_path / "own", ignore=shutil.ignore_patterns("models", "model.pkl", "card.json")
    )
    lines = block("bash", "pip install -r").splitlines()
    lines[0] = lines[0].replace("python", sys.executable, 1)
    run([BASH, "-ec", "\n".join(lines[:-1])], own, PIP_COMPILE="0")  # most of it is not imported here
    answers_when_started(f". .venv/bin/activate\n{lines[-1]}", own)


def test_the_windows_commands_are_the_same(project):
    bash, powershell = block("bash", "pip install -r"), block("powershell", "pip install -r")
    assert bash.replace(". .venv/bin/activate", r".\.venv\Scripts\Activate.ps1") == powershell
