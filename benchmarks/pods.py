"""Containers of deploy/kubernetes as processes: with the commands of the Dockerfile and with the manifests'
settings and probes, all read from there."""

import os
import random
import re
import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import yaml

from benchmarks.arena import ROOT
from benchmarks.contenders import PYTHON

MANIFESTS = ROOT / "deploy" / "kubernetes" / "base"
MODEL_FOLDERS = "/models", "/model"  # in the manifests: where models lie, and where a pod has its own
PATIENCE = 120  # seconds until a pod is ready, or has ended


class RehearsalError(RuntimeError):
    """A pod that does not start or end; the message has the end of its log."""


@dataclass(frozen=True)
class Container:
    """What a manifest and its image say of a container, for a process on this machine."""

    name: str
    command: list[str]
    env: dict[str, str]
    port: int
    probes: dict[str, dict]  # startupProbe, readinessProbe, livenessProbe
    patience: float  # terminationGracePeriodSeconds


def documents(name: str) -> list[dict]:
    return [*yaml.safe_load_all((MANIFESTS / name / f"{name}.yaml").read_text(encoding="utf-8"))]


def pod_of(name: str) -> dict:
    """The spec of the pods of the Deployment in base/NAME."""
    return next(one for one in documents(name) if one["kind"] == "Deployment")["spec"]["template"]["spec"]


def settings() -> dict[str, str]:
    """Of the ConfigMap."""
    lines = (MANIFESTS / "settings.env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def image(target: str) -> tuple[list[str], dict[str, str]]:
    """The command of the Dockerfile's target, and the settings of `serving`, which it is made of."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    stages = dict(re.findall(r"^FROM \S+ AS (\S+)\n(.*?)(?=^FROM |\Z)", text, re.MULTILINE | re.DOTALL))
    command = re.search(r"^CMD \[(.*)\]$", stages[target], re.MULTILINE)[1]
    made = re.findall(r"^ENV (.*)$", stages["serving"], re.MULTILINE)[0] if target != "ui" else ""
    return re.findall(r'"([^"]*)"', command), dict(pair.split("=", 1) for pair in made.split())


def container_of(name: str, pod: dict | None = None, target: str | None = None) -> Container:
    """Of the Deployment in base/NAME, or of any pod's spec. Secrets are left out: without them servers and
    workers keep what they keep in SQLite."""
    pod = pod or pod_of(name)
    found = pod["containers"][0]
    command, env = image(target or name)
    env |= settings() if found.get("envFrom") else {}
    env |= {each["name"]: each["value"] for each in found.get("env", []) if "value" in each}
    ports = {port["name"]: port["containerPort"] for port in found["ports"]}
    probes = {kind: found[kind]["httpGet"] | found[kind] for kind in found if kind.endswith("Probe")}
    assert all(probe["port"] in ports for probe in probes.values())
    patience = pod["terminationGracePeriodSeconds"]
    return Container(name, found.get("command", command), env, [*ports.values()][0], probes, patience)


def deliver(name: str, models: Path, folder: Path) -> Path:
    """Run the init container's command: from models/ into the pod's folder, which is returned."""
    places = dict(zip(MODEL_FOLDERS, (models, folder), strict=True))
    command = pod_of(name)["initContainers"][0]["command"]
    command = [PYTHON if part == "python" else replaced(part, places) for part in command]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    if done.returncode:
        raise RehearsalError(done.stderr.strip())
    return folder


def replaced(text: str, places: dict[str, Path]) -> str:
    """A path of the container as one of this machine."""
    for inside, outside in sorted(places.items(), reverse=True):
        if text == inside or text.startswith(f"{inside}/"):
            return f"{outside}{text[len(inside) :]}"
    return text


def free_port() -> int:
    """Below those that the system gives to connections, of which there are thousands here."""
    while True:
        port = random.randint(20_000, 32_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class Pod:
    """A container as a process."""

    number = 0

    def __init__(self, container: Container, folder: Path, **changed: str) -> None:
        """`changed`: settings that are others than in the manifest. The port is a free one."""
        Pod.number += 1
        self.port = free_port()
        self.container, self.log = container, folder / f"{container.name}-{Pod.number}.log"
        self.url = f"http://127.0.0.1:{self.port}"
        env = container.env | {"HOST": "127.0.0.1", "METRICS_PORT": "0", "JOBS_FOLDER": str(folder / "jobs")}
        env |= {"PORT": str(self.port), "WORKER_PORT": str(self.port), "ACCESS_PATH": str(folder / "access")}
        env |= {"MODEL_PATH": str(folder / "model"), "POD_IP": "127.0.0.1"} | changed
        env = {name: value.replace("$(POD_IP)", env["POD_IP"]) for name, value in env.items()}
        inherited = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "BROKER_URL")}
        command = [PYTHON if part == "python" else part for part in container.command]
        if command[0] == "streamlit":
            command = [PYTHON, "-m", *command]
        command = [part.replace(str(container.port), str(self.port)) for part in command]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=inherited | env, stdout=log, stderr=log)

    def probe(self, kind: str, **headers: str) -> bool:
        """What the kubelet would take from the answer: 200 to 399 is yes. It would not wait
        as long; here the machine may be busy."""
        url = self.url + self.container.probes[kind]["path"]
        try:
            answer = httpx.get(url, headers=headers, timeout=PATIENCE, trust_env=False)
        except httpx.TransportError:
            return False
        return 200 <= answer.status_code < 400

    def await_probe(self, kind: str = "readinessProbe", wanted: bool = True) -> None:
        """Ask as often as the manifest has it, until it answers so."""
        deadline = time.monotonic() + PATIENCE
        while self.probe(kind) is not wanted:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RehearsalError(f"{self.container.name}: {kind} is not {wanted}:\n{self.tail()}")
            time.sleep(min(0.2, self.container.probes[kind].get("periodSeconds", 10)))

    def terminate(self) -> None:
        """SIGTERM."""
        self.process.send_signal(signal.SIGTERM)

    def end(self) -> int:
        """Its exit code. Raises RehearsalError where the kubelet would have had to kill it."""
        try:
            return self.process.wait(self.container.patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise RehearsalError(f"{self.container.name} had to be killed:\n{self.tail()}") from None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def tail(self) -> str:
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-10:])
