"""The images and the classroom, as far as they can be checked without building them."""

import ast
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def compose_command() -> list[str] | None:
    """`docker compose`, or the older `docker-compose`, or None."""
    if (
        shutil.which("docker")
        and not subprocess.run(["docker", "compose", "version"], capture_output=True).returncode
    ):
        return ["docker", "compose"]
    return ["docker-compose"] if shutil.which("docker-compose") else None


def test_the_linter_has_nothing_to_say_about_the_dockerfile():
    linter = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if not linter:
        pytest.skip("hadolint has no build for this system")
    done = subprocess.run([linter, str(ROOT / "Dockerfile")], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_compose_accepts_the_classroom():
    command = compose_command()
    if not command:
        pytest.skip("neither docker compose nor docker-compose is installed")
    done = subprocess.run(
        [*command, "-f", str(ROOT / "docker-compose.yml"), "config", "-q"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_every_port_is_bound_to_this_machine_only():
    for name, service in COMPOSE["services"].items():
        assert service["ports"], name
        for port in service["ports"]:
            assert port.startswith("127.0.0.1:"), f"{name} publishes {port} to the network"


def test_every_service_is_an_image_of_ours_with_a_health_check_and_no_rights():
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)
    by_name = {
        stage.split(" AS ")[1].split("\n")[0]: stage for stage in stages if " AS " in stage.split("\n")[0]
    }
    for name, service in COMPOSE["services"].items():
        stage = by_name[service["build"]["target"]]
        assert "HEALTHCHECK" in stage and "CMD [" in stage, name
        parent = by_name.get(stage.split(" ")[0], "")
        assert "USER 1000" in stage + parent, name
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_page_and_the_lab_wait_for_healthy_servers():
    for name in ("ui", "lab"):
        waits = COMPOSE["services"][name]["depends_on"]
        assert waits == {server: {"condition": "service_healthy"} for server in ("fastapi", "flask")}


def test_the_servers_believe_the_proxy_and_nobody_else():
    """Not its network: whoever comes by a published port has an address of that too."""
    address = COMPOSE["services"]["proxy"]["networks"]["behind-proxy"]["ipv4_address"]
    for name in ("fastapi", "flask"):
        assert COMPOSE["services"][name]["environment"]["TRUSTED_PROXIES"] == address


def test_the_default_target_is_the_fastapi_server():
    assert re.findall(r"^FROM .* AS (\w+)$", DOCKERFILE, flags=re.MULTILINE)[-1] == "fastapi"


def test_no_secret_and_no_model_of_this_machine_gets_into_an_image():
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert not {"!.env", "!model.pkl", "!models", "!.git"} & set(rules)


def test_no_token_has_a_default():
    assert COMPOSE["services"]["lab"]["environment"] == ["JUPYTER_TOKEN"]


def test_the_image_and_the_kit_install_with_the_same_uv():
    kit = (ROOT / "kit" / "environment.py").read_text(encoding="utf-8")
    assert re.search(r"uv==[\d.]+", DOCKERFILE)[0] == re.search(r"uv==[\d.]+", kit)[0]


def test_a_browser_is_sent_where_the_servers_are_published():
    """The page finds them by their services' names, which mean nothing outside."""
    told = COMPOSE["services"]["ui"]["environment"]
    for name in ("fastapi", "flask"):
        published = COMPOSE["services"][name]["ports"][0].rpartition(":")[0]
        assert told[f"{name.upper()}_PUBLIC_URL"] == f"http://{published}"
        assert told[f"{name.upper()}_URL"].startswith(f"http://{name}:")


NOT_IN_THE_IMAGE = {  # what only a setting asks for that the image does not have, or only a training
    *("granian", "presidio-analyzer", "alt-profanity-check", "xllamacpp", "gguf", "matplotlib", "skl2onnx"),
}


@pytest.mark.parametrize(
    ("environment", "rooms"),
    [("serving-env", ["apps", "model_training"]), ("ui-env", ["ui", "benchmarks/load"])],
)
def test_an_image_has_every_package_that_what_is_in_it_imports(environment, rooms):
    listed = re.search(rf"AS {environment}\nRUN (.*?)(&&|\n(?! ))", DOCKERFILE, re.DOTALL)[1].replace(
        "\\\n", " "
    )
    wanted = listed.partition("requirements.txt ")[2].replace('"', "").split()
    brought = set()
    while wanted:
        asked = Requirement(wanted.pop())
        name = canonicalize_name(asked.name)
        if (name, *asked.extras) in brought:
            continue
        brought.add((name, *asked.extras))
        for line in metadata.requires(name) or []:
            needed = Requirement(line)
            extras = asked.extras or {""}
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                wanted.append(str(needed).partition(";")[0])
    brought = {name for name, *_ in brought} | NOT_IN_THE_IMAGE
    packages = metadata.packages_distributions()
    for path in [path for room in rooms for path in (ROOT / room).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            for module in {name.split(".")[0] for name in names} & set(packages):
                assert {canonicalize_name(one) for one in packages[module]} & brought, f"{path}: {module}"
