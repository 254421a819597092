"""`kit.py secrets`: what docker compose needs, made once, kept, and told to nobody."""

import os
import re
import stat
from pathlib import Path

import pytest

from kit import compose
from kit.environment import SetupError
from tests.kit.project import ROOT, Project

COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")


def written(file: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in file.read_text("utf-8").splitlines() if "=" in line)


def test_the_command_makes_what_a_profile_needs_and_needs_no_environment(tmp_path):
    project = Project(tmp_path / "project", {})
    code, said = project.run("secrets", "--profile", "data", "--profile", "edge")
    file = project.folder / ".env"
    found = written(file)
    assert code == 0 and not project.venv.exists()
    assert found["COMPOSE_PROFILES"] == "data,edge" and found["SERVELAB_DATA"] == "on"
    made = {"JUPYTER_TOKEN", "POSTGRES_PASSWORD", "RABBITMQ_PASSWORD", "REDIS_PASSWORD"}
    assert {name for name in found if not name.startswith(("COMPOSE", "SERVELAB"))} == made
    assert len({found[name] for name in made}) == 4 and all(len(found[name]) >= 32 for name in made)
    for name in made:
        assert name in said and found[name] not in said
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600

    before = file.read_bytes()
    assert project.run("secrets")[0] == 0
    assert file.read_bytes() == before
    code, said = project.run("secrets", "--profile", "everything")
    assert code == 1 and "invalid choice: 'everything'" in said and file.read_bytes() == before


def test_what_is_there_stays_and_what_is_missing_is_added(tmp_path):
    file = tmp_path / ".env"
    file.write_text("# mine\nFLASK_PORT=5001\nREDIS_PASSWORD=chosen\nPOSTGRES_PASSWORD=\n", encoding="utf-8")
    file.chmod(0o644)
    assert compose.write_secrets(["data"], file) == 0
    found = written(file)
    assert file.read_text(encoding="utf-8").startswith("# mine\nFLASK_PORT=5001\nREDIS_PASSWORD=chosen\n")
    assert found["REDIS_PASSWORD"] == "chosen" and len(found["POSTGRES_PASSWORD"]) >= 32
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_profiles_that_are_not_named_any_more_are_off_and_their_passwords_are_kept(tmp_path):
    file = tmp_path / ".env"
    compose.write_secrets(["data"], file)
    password = written(file)["POSTGRES_PASSWORD"]
    compose.write_secrets(["observability"], file)
    found = written(file)
    assert found["COMPOSE_PROFILES"] == "observability" and "SERVELAB_DATA" not in found
    assert found["POSTGRES_PASSWORD"] == password  # its volume bears it
    compose.write_secrets(["all"], file)
    found = written(file)
    assert found["COMPOSE_PROFILES"] == "all"
    assert {name for name in found if name.startswith("SERVELAB_")} == {
        f"SERVELAB_{name.upper()}" for name in compose.SECRETS
    }
    compose.write_secrets([], file)
    assert not {"COMPOSE_PROFILES", "SERVELAB_DATA"} & set(written(file))


@pytest.mark.parametrize(
    ("text", "named", "secret"),
    [
        ("REDIS_PASSWORD=pass@word\n", "REDIS_PASSWORD: expected letters, digits", "pass@word"),
        ("COMPOSE_PROFILES=data,observabilty\n", "COMPOSE_PROFILES: expected some of", None),
    ],
)
def test_what_cannot_be_used_is_named_and_stays(tmp_path, text, named, secret):
    file = tmp_path / ".env"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SetupError, match=named) as refused:
        compose.write_secrets(["data"] if secret else None, file)
    assert secret is None or secret not in str(refused.value)
    assert file.read_text(encoding="utf-8") == text


def test_a_file_of_another_encoding_and_a_second_writer_are_told(tmp_path):
    file = tmp_path / ".env"
    file.write_bytes(b"NAME=\xff\xfe\n")
    with pytest.raises(SetupError, match="expected a text in UTF-8"):
        compose.write_secrets(["data"], file)
    file.unlink()
    (tmp_path / ".env.new").touch()
    with pytest.raises(SetupError, match="another kit.py is writing it"):
        compose.write_secrets(["data"], file)
    assert not file.exists()


def test_compose_asks_for_what_is_made_and_for_no_other_secret():
    made = {name for names in compose.SECRETS.values() for name in names}
    assert set(re.findall(r"(?<!\$)\$\{(\w+_PASSWORD)", COMPOSE)) == made
    assert set(re.findall(r"\$\{(SERVELAB_\w+)", COMPOSE)) <= set(compose.SWITCHES)
    assert set(re.findall(r"profiles: \[(\w+), all\]", COMPOSE)) == set(compose.SECRETS)
