"""The images and docker compose, as far as they can be checked without building them."""

import ast
import json
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

from apps.service.settings import Settings
from kit.compose import PROFILES, write_secrets

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
FOUR = {"lab", "fastapi", "flask", "ui"}
KEYS = """build cap_drop command cpus depends_on entrypoint environment healthcheck hostname image logging
mem_limit networks pids_limit ports profiles read_only restart security_opt tmpfs user volumes working_dir"""
PARTS = {  # what servers are told of each profile
    "data": "BROKER_URL",
    "observability": "OTEL_EXPORTER_OTLP_ENDPOINT",
    "generative": "GENERATION_URL",
}
OWN_USER = ("prom", "grafana", "jaegertracing")  # whose images have one that is not root
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def compose_command() -> list[str] | None:
    """Docker Compose of version 2.20 or newer, or None."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]):
            asked = subprocess.run([*command, "version", "--short"], capture_output=True, text=True)
            version = re.match(r"v?(\d+)\.(\d+)", asked.stdout)
            if asked.returncode == 0 and version and (int(version[1]), int(version[2])) >= (2, 20):
                return command
    return None


def test_the_linter_has_nothing_to_say_about_the_dockerfile():
    linter = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if not linter:
        pytest.skip("hadolint has no build for this system")
    done = subprocess.run([linter, str(ROOT / "Dockerfile")], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("profile", [None, *PROFILES])
def test_compose_accepts_every_profile(profile, tmp_path):
    command = compose_command()
    if not command:
        pytest.skip("needs Docker Compose, version 2.20 or newer")
    (tmp_path / ".env").touch()
    if profile:
        write_secrets([profile], tmp_path / ".env")
    files = ["--file", str(ROOT / "docker-compose.yml"), "--env-file", str(tmp_path / ".env")]
    done = subprocess.run([*command, *files, "config", "--format", "json"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    services = json.loads(done.stdout)["services"]
    assert set(services) == {
        name
        for name, service in SERVICES.items()
        if "profiles" not in service or profile in service["profiles"]
    }
    told = services["flask"]["environment"]
    for part, name in PARTS.items():
        assert bool(told[name]) == (profile in (part, "all"))


def test_every_key_of_a_service_is_one_that_compose_has():
    """Where no compose is there to say so."""
    for name, service in SERVICES.items():
        assert set(service) <= set(KEYS.split()), name
        assert set(service.get("healthcheck", {})) <= {
            *("test", "interval", "timeout", "retries", "start_period", "start_interval")
        }, name


def test_without_a_profile_there_are_the_lab_both_servers_and_the_page():
    assert {name for name, service in SERVICES.items() if "profiles" not in service} == FOUR
    for name in set(SERVICES) - FOUR:
        assert SERVICES[name]["profiles"][1:] == ["all"]


def test_every_port_is_bound_to_this_machine_unless_it_is_told_otherwise():
    assert all(SERVICES[name]["ports"] for name in FOUR)
    for name, service in SERVICES.items():
        for port in service.get("ports", []):
            assert port.startswith("${BIND_ADDRESS:-127.0.0.1}:"), f"{name} publishes {port} to the network"


def test_every_service_has_no_rights_and_limits():
    for name, service in SERVICES.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["read_only"] is (name != "lab"), name
        assert service["pids_limit"] and service["cpus"] and service["mem_limit"], name
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}, name


def test_every_service_has_a_health_check_and_a_user_that_is_not_root():
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)
    by_name = {
        stage.split(" AS ")[1].split("\n")[0]: stage for stage in stages if " AS " in stage.split("\n")[0]
    }
    for name, service in SERVICES.items():
        if "build" in service:
            stage = by_name[service["build"]["target"]]
            assert "HEALTHCHECK" in stage and "CMD [" in stage, name
            assert "USER 1000" in stage + by_name.get(stage.split(" ")[0], ""), name
            if name != "proxy":  # nginx's image has no Python
                assert 'CMD ["python", "-c", "from urllib' in stage, name
        else:
            assert service["healthcheck"]["test"], name
            assert "user" in service or service["image"].split("/")[0] in OWN_USER, name


def test_what_a_server_is_told_are_settings_that_there_are():
    for name in ("fastapi", "flask", "worker", "generator"):
        told = {one for one in SERVICES[name]["environment"] if not one.startswith("OTEL_")}
        assert told <= {field.upper() for field in Settings.model_fields}, name


def test_no_password_has_a_default():
    """What compose reads of them is empty where there is none, and what has none does not start."""
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    assert set(re.findall(r"(?<!\$)\$\{\w+_PASSWORD([^}]*)\}", text)) == {":-"}
    assert SERVICES["lab"]["environment"]["JUPYTER_TOKEN"] is None
    for name, variable in (
        ("postgres", "POSTGRES_PASSWORD"),
        ("redis", "REDISCLI_AUTH"),
        ("rabbitmq", "RABBITMQ_DEFAULT_PASS"),
        ("grafana", "GF_SECURITY_ADMIN_PASSWORD"),
    ):
        service = SERVICES[name]
        assert f"$${{{variable}:?run python kit.py secrets --profile" in service["entrypoint"][2]
        if shell := shutil.which("sh"):
            started = service["entrypoint"][2].replace("$$", "$")
            done = subprocess.run([shell, "-ec", started], env={variable: ""}, capture_output=True, text=True)
            assert done.returncode and "run python kit.py secrets" in done.stderr


def test_every_volume_that_is_kept_is_declared():
    used = {
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if not volume.startswith(("./", "${"))
    }
    assert used | {"certificate"} == set(COMPOSE["volumes"])


def test_traces_go_from_the_collector_to_jaeger():
    collector, jaeger = (
        yaml.safe_load((ROOT / "deploy" / "traces" / f"{name}.yaml").read_text(encoding="utf-8"))
        for name in ("collector", "jaeger")
    )
    for config in (collector, jaeger):
        assert set(config) == {"extensions", "receivers", "processors", "exporters", "service"}
        assert set(config["service"]["extensions"]) == set(config["extensions"])
        for kind, names in config["service"]["pipelines"]["traces"].items():
            assert set(names) == set(config[kind])
    ports = [config["receivers"]["otlp"]["protocols"]["http"]["endpoint"] for config in (collector, jaeger)]
    assert ports == ["0.0.0.0:4318"] * 2
    assert collector["exporters"]["otlphttp"]["endpoint"] == "http://jaeger:4318"
    assert "http://collector:4318" in SERVICES["fastapi"]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"]
    kept = jaeger["exporters"]["jaeger_storage_exporter"]["trace_storage"]
    assert kept in jaeger["extensions"]["jaeger_storage"]["backends"]
    assert jaeger["extensions"]["jaeger_query"]["storage"]["traces"] == kept


def test_the_page_and_the_lab_wait_for_healthy_servers():
    for name in ("ui", "lab"):
        waits = SERVICES[name]["depends_on"]
        assert waits == {server: {"condition": "service_healthy"} for server in ("fastapi", "flask")}


def test_the_servers_believe_the_proxy_and_nobody_else():
    """Not its network: whoever comes by a published port has an address of that too."""
    address = SERVICES["proxy"]["networks"]["behind-proxy"]["ipv4_address"]
    for name in ("fastapi", "flask"):
        assert SERVICES[name]["environment"]["TRUSTED_PROXIES"] == address


def test_the_default_target_is_the_fastapi_server():
    assert re.findall(r"^FROM .* AS (\w+)$", DOCKERFILE, flags=re.MULTILINE)[-1] == "fastapi"


def test_no_secret_and_no_model_of_this_machine_gets_into_an_image():
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert not {"!.env", "!model.pkl", "!models", "!.git"} & set(rules)


def test_the_image_and_the_kit_install_with_the_same_uv():
    kit = (ROOT / "kit" / "environment.py").read_text(encoding="utf-8")
    assert re.search(r"uv==[\d.]+", DOCKERFILE)[0] == re.search(r"uv==[\d.]+", kit)[0]


def test_a_browser_is_sent_where_the_servers_are_published():
    """The page finds them by their services' names, which mean nothing outside."""
    told = SERVICES["ui"]["environment"]
    for name in ("fastapi", "flask"):
        published = re.search(r":(\$\{\w+:-\d+\}):", SERVICES[name]["ports"][0])[1]
        assert told[f"{name.upper()}_PUBLIC_URL"] == f"http://127.0.0.1:{published}"
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
