"""Schemathesis makes requests from a server's own document, right ones and wrong ones, and holds the answers
to it: statuses, media types, headers, bodies; valid data taken, invalid data and other methods refused.

https://schemathesis.readthedocs.io/"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from classroom.servers import Server
from pairs import FULL
from promises import Watch

CONFIG = Path(__file__).with_name("schemathesis.toml")


def assert_schemathesis(server: Server, folder: Path, *options: str) -> str:
    """What it says of a server, in which it has found nothing wrong."""
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", "--no-color"]
    command += [f"{server.url}/openapi.json", *options]
    env = os.environ | {"NO_PROXY": "127.0.0.1", "PYTHONUTF8": "1"}
    with Watch(server):
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr
    generated, passed = re.search(r"(\d+) generated, (\d+) passed", done.stdout).groups()
    assert generated == passed and int(generated) > 100
    return done.stdout


@pytest.mark.parametrize("name", FULL)
def test_the_server_is_what_its_document_says(full, name, tmp_path):
    said = assert_schemathesis(full[name], tmp_path)
    assert int(re.search(r"(\d+) generated", said)[1]) > 500
    document = full[name].get("/openapi.json").json()
    operations = sum(
        method in item for item in document["paths"].values() for method in ("get", "head", "post")
    )
    assert f"Tested: {operations - 1}" in said  # all but to get the document, which it began with
