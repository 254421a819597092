"""`kit.py classroom`: a class on one server, as a compose project: for each learner JupyterLab, both servers
and the page, with ports and a token of their own; and a page that lists who is up. Standard library only."""

import argparse
import contextlib
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
from pathlib import Path

from kit.compose import name_of, read, replace, values
from kit.environment import ROOT, SCRATCH, SetupError

FOLDER = SCRATCH / "classroom"
WHO_IS_UP = ROOT / "deploy" / "classroom" / "who_is_up.py"
PORTS = {"lab": 8888, "fastapi": 8000, "flask": 5000, "ui": 8501}  # and 10 more for each learner
PAGE = 8095
STEP = 10
MOST = 250  # each has a network, 10.213.N.0/28
SERVER, STREAMLIT, LEAST_LAB, SYSTEM = 192, 256, 384, 1024  # MiB; the lab has what is left
MARK = "# A class of kit.py classroom"

HEAD = """\
{mark}, which writes this file: change it by running that again.
#   docker compose build                     in the project's folder, once
#   docker compose up --detach               in this folder
#   docker compose exec lab-01 bash          to look after learner 01
name: {project}

x-learner: &learner
  restart: unless-stopped
  pull_policy: never # the images are the project's own
  cap_drop: [ALL]
  security_opt: ["no-new-privileges:true"]
  pids_limit: 256
  cpus: 1
  read_only: true
  tmpfs: [/tmp]
  logging: {{driver: json-file, options: {{max-size: 5m, max-file: "2"}}}}
  healthcheck: {{interval: 60s, timeout: 10s, retries: 5, start_period: 600s, start_interval: 15s}}

services:
  page: # who is up
    <<: *learner
    image: ml-api:latest
    command: [python, /page/who_is_up.py, /page/class.json]
    ports: ["{bind}:{page}:8000"]
    volumes: ["./page:/page:ro"]
    networks: [{networks}]
    mem_limit: 128m
"""

LEARNER = """
  lab-{n}:
    <<: *learner
    image: ml-lab:latest
    ports: ["{bind}:{lab}:8888"]
    environment: {{JUPYTER_TOKEN: "${{TOKEN_{n}:?run python kit.py classroom again}}"}}
    volumes: ["notebooks-{n}:/app/notebooks", "models-{n}:/app/models", "registry-{n}:/app/.kit"]
    networks: [learner-{n}]
    read_only: false
    mem_limit: {lab_memory}m
    pids_limit: 1024

  fastapi-{n}:
    <<: *learner
    image: ml-api:latest
    ports: ["{bind}:{fastapi}:8000"]
    environment: {{ALLOWED_HOSTS: "{hosts}fastapi,fastapi-{n}"}}
    networks: {{learner-{n}: {{aliases: [fastapi]}}}}
    mem_limit: {server_memory}m

  flask-{n}:
    <<: *learner
    image: ml-api:flask
    ports: ["{bind}:{flask}:5000"]
    environment: {{ALLOWED_HOSTS: "{hosts}flask,flask-{n}"}}
    networks: {{learner-{n}: {{aliases: [flask]}}}}
    mem_limit: {server_memory}m

  ui-{n}:
    <<: *learner
    image: ml-ui:latest
    ports: ["{bind}:{ui}:8501"]
    environment:
      FASTAPI_URL: http://fastapi:8000
      FLASK_URL: http://flask:5000
      FASTAPI_METRICS_URL: http://fastapi:8100/metrics
      FLASK_METRICS_URL: http://flask:5100/metrics
      FASTAPI_PUBLIC_URL: http://{address}:{fastapi}
      FLASK_PUBLIC_URL: http://{address}:{flask}
      SERVELAB_LOAD_ANY_HOST: "1"
    networks: [learner-{n}]
    mem_limit: {ui_memory}m
"""


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--learners", type=int, default=20, help="how many (20)")
    parser.add_argument(
        "--memory", type=mebibytes, default=1300, help="for each learner, such as 1300m or 2g (1300m)"
    )
    parser.add_argument(
        "--port-offset", type=int, default=0, help="added to every port, for a second class (0)"
    )
    parser.add_argument(
        "--bind", default="127.0.0.1", help="the address to listen on; 0.0.0.0: all (127.0.0.1)"
    )
    parser.add_argument("--address", help="what learners call this machine (--bind, or this machine's name)")
    parser.add_argument(
        "--output", type=Path, default=FOLDER, metavar="FOLDER", help="where to (.kit/classroom)"
    )


def mebibytes(text: str) -> int:
    """Raises ArgumentTypeError."""
    if not (found := re.fullmatch(r"(\d{1,6})([mg])b?", text.lower())):
        raise argparse.ArgumentTypeError(f"expected a size such as 1300m or 2g, got {text!r}")
    return int(found[1]) * (1024 if found[2] == "g" else 1)


def classroom(given: argparse.Namespace) -> int:
    """Write the class, and keep the tokens of a class that is there. Raises SetupError."""
    learners, folder = given.learners, given.output.absolute()
    check(learners, given.memory, given.port_offset, given.bind, given.address)
    lines = tokens_of(folder)
    kept = {name: token for name, token in values(lines).items() if re.fullmatch(r"TOKEN_\d+", name)}
    numbers = [f"{number:02d}" for number in range(1, learners + 1)]
    made = {f"TOKEN_{n}": secrets.token_hex(16) for n in numbers if f"TOKEN_{n}" not in kept}
    everywhere = given.bind in ("0.0.0.0", "::")
    address = given.address or (socket.gethostname() if everywhere else given.bind)
    page = PAGE + given.port_offset
    ports = {
        n: {part: port + given.port_offset + STEP * int(n) for part, port in PORTS.items()} for n in numbers
    }

    folder.mkdir(parents=True, exist_ok=True)
    text = [*(lines or [f"{MARK}: tokens. Show them to nobody.\n"])]
    text = [line for line in text if name_of(line) not in made]
    replace(folder / ".env", "".join([*text, *(f"{name}={token}\n" for name, token in made.items())]))
    (folder / "docker-compose.yml").write_text(
        compose_file(folder, given, address, page, ports), encoding="utf-8", newline="\n"
    )
    listed = [
        f"Who is up: http://{address}:{page}\nGive each learner these lines alone: the first is their key.\n"
    ]
    for n, at in ports.items():
        token = (kept | made)[f"TOKEN_{n}"]
        listed.append(
            f"learner {n}\n  JupyterLab  http://{address}:{at['lab']}/lab/tree/notebooks?token={token}"
        )
        listed.append(
            f"  FastAPI     http://{address}:{at['fastapi']}\n  Flask       http://{address}:{at['flask']}"
        )
        listed.append(f"  Page        http://{address}:{at['ui']}\n")
    replace(folder / "addresses.txt", "\n".join(listed))
    (folder / "page").mkdir(exist_ok=True)
    shutil.copyfile(WHO_IS_UP, folder / "page" / "who_is_up.py")
    (folder / "page" / "class.json").write_text(json.dumps(asked(ports), indent=1), encoding="utf-8")
    for file in (folder / "page" / "who_is_up.py", folder / "page" / "class.json"):
        file.chmod(0o644)  # whoever runs the container reads them
    (folder / "page").chmod(0o755)

    print(f"A class of {learners}, with {len(made)} new tokens, is in {folder}")
    print(
        f"  addresses.txt        addresses with their tokens, for you alone\n  who is up            http://{address}:{page}"
    )
    print(f"To start it:\n  docker compose build\n  docker compose --project-directory {folder} up --detach")
    return 0


def check(learners: int, memory: int, offset: int, bind: str, address: str | None) -> None:
    """Raises SetupError for what cannot be."""
    if not re.fullmatch(r"\d{1,3}(\.\d{1,3}){3}", bind):
        raise SetupError(f"--bind: expected an IPv4 address such as 127.0.0.1 or 0.0.0.0, got {bind!r}")
    if address and not re.fullmatch(r"[A-Za-z0-9.-]{1,253}", address):
        raise SetupError(f"--address: expected a name or an IPv4 address, got {address!r}")
    if not 1 <= learners <= MOST:
        raise SetupError(f"--learners: expected 1 to {MOST}, got {learners}")
    if offset < 0:
        raise SetupError(f"--port-offset: expected 0 or more, got {offset}")
    highest = max(PORTS.values()) + offset + STEP * learners
    if highest > 65535:
        fit = (65535 - max(PORTS.values()) - offset) // STEP
        raise SetupError(
            f"--port-offset: the last learner's ports would reach {highest}, and they end at 65535: expected "
            + (f"at most {fit} learners, or " if fit > 0 else "")
            + f"an offset of at most {65535 - max(PORTS.values()) - STEP * learners}"
        )
    least = 2 * SERVER + STREAMLIT + LEAST_LAB
    if memory < least:
        raise SetupError(f"--memory: expected {least}m or more for a learner's four programs, got {memory}m")
    total = memory_of_machine()
    if total and learners * memory + SYSTEM > total:
        fit, each = (total - SYSTEM) // memory, (total - SYSTEM) // learners
        advice = [f"--learners {fit}"] if fit > 0 else []
        advice += [f"--memory {each}m"] if each >= least else []
        raise SetupError(
            f"{learners} learners of {memory} MB and {SYSTEM} MB for the system need "
            f"{(learners * memory + SYSTEM) / 1024:.1f} GB, and this machine has {total / 1024:.1f} GB: "
            + (" or ".join(advice) or "a larger machine is needed")
        )


def memory_of_machine() -> int | None:
    """In MiB, as Docker has it (a virtual machine's on Windows and macOS); None where nobody tells."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired, ValueError):
        asked = subprocess.run(
            ["docker", "info", "--format", "{{.MemTotal}}"], capture_output=True, text=True, timeout=20
        )
        if asked.returncode == 0 and int(asked.stdout):
            return int(asked.stdout) >> 20
    with contextlib.suppress(AttributeError, OSError, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    return None


def tokens_of(folder: Path) -> list[str]:
    """The lines of the class's `.env`; [] where there is no class yet. Raises SetupError."""
    lines = read(folder / ".env") if folder.is_dir() else []
    if lines and not lines[0].startswith(MARK) or not lines and folder.exists() and not is_empty(folder):
        raise SetupError(
            f"--output: {folder} is there and holds no class: expected a new folder, or a class's"
        )
    return lines


def is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def compose_file(folder: Path, given: argparse.Namespace, address: str, page: int, ports: dict) -> str:
    project = re.sub(r"[^a-z0-9_-]", "", f"servelab-{folder.name.lower()}")
    networks = ", ".join(f"learner-{n}" for n in ports)
    parts = [HEAD.format(mark=MARK, project=project, bind=given.bind, page=page, networks=networks)]
    memory = {
        "server_memory": SERVER,
        "ui_memory": STREAMLIT,
        "lab_memory": given.memory - 2 * SERVER - STREAMLIT,
    }
    hosts = "" if address == "127.0.0.1" else f"{address},"
    for n, at in ports.items():
        parts.append(LEARNER.format(n=n, bind=given.bind, address=address, hosts=hosts, **at, **memory))
    parts.append("\nvolumes: # `docker compose down -v` would throw away all that learners wrote\n")
    parts += [f"  {what}-{n}:\n" for n in ports for what in ("notebooks", "models", "registry")]
    parts.append("\nnetworks:\n")
    parts += [f"  learner-{n}: {{ipam: {{config: [{{subnet: 10.213.{int(n)}.0/28}}]}}}}\n" for n in ports]
    return "".join(parts)


def asked(ports: dict) -> list[dict]:
    """What the page asks, and where its links lead."""
    return [
        {
            "learner": n,
            "parts": [
                {"name": "JupyterLab", "ask": f"http://lab-{n}:8888/api", "port": at["lab"]},
                {"name": "FastAPI", "ask": f"http://fastapi-{n}:8000/health", "port": at["fastapi"]},
                {"name": "Flask", "ask": f"http://flask-{n}:5000/health", "port": at["flask"]},
                {"name": "Page", "ask": f"http://ui-{n}:8501/_stcore/health", "port": at["ui"]},
            ],
        }
        for n, at in ports.items()
    ]
