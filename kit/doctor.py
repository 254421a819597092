"""`python kit.py doctor`: what is in place, what is not, and what to do about it. It changes nothing.

Standard library only: it has to work where the environment does not.
"""

import hashlib
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import urllib.request
import webbrowser
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from kit.environment import PYTHON, ROOT, SCRATCH, VENV, python_version, state, wanted
from kit.registry import server

PORTS = {
    "FastAPI": 8000,
    "Flask": 5000,
    "the worker": 8002,
    "the page": 8501,
    "JupyterLab": 8888,
    "the book": 8600,
    "the registry": 5050,
}
SET_UP = "python kit.py up"


class Finding(NamedTuple):
    """One line of the report; state is "ok", "note" (something works differently) or "broken"."""

    what: str
    state: str
    text: str
    remedy: str = ""


def doctor() -> int:
    """Print the findings; 1 if something that is needed is broken, else 0."""
    inside = ask_environment()
    findings = [python(), environment(), *ports(), kernel(inside), model(inside)]
    findings += [registry(), language_model(), docker(), browser()]
    width = max(len(finding.what) for finding in findings)
    for finding in findings:
        print(f"{finding.state:<6}  {finding.what:<{width}}  {finding.text}")
        if finding.remedy:
            print(f"{'':<6}  {'':<{width}}  -> {finding.remedy}")
    return 1 if any(finding.state == "broken" for finding in findings) else 0


def python() -> Finding:
    return Finding("Python", "ok", f"{sys.version.split()[0]} ({sys.executable})")


def environment() -> Finding:
    if not VENV.exists():
        return Finding("packages", "broken", "not installed yet", SET_UP)
    version, noted = python_version(), state()
    if version is None:
        return Finding("packages", "broken", ".venv does not run any more", f"{SET_UP} makes it anew")
    if noted.get("state") != "complete":
        return Finding("packages", "broken", ".venv was not finished, or not made by kit.py", SET_UP)
    differs = [key for key, value in wanted(version).items() if noted.get(key) != value]
    if differs:
        text = (
            "requirements.txt has changed since" if differs == ["lock"] else f"made for another {differs[0]}"
        )
        return Finding("packages", "broken", text, f"{SET_UP} brings .venv up to date")
    return Finding("packages", "ok", f"as locked, in .venv with Python {version}")


def ports() -> list[Finding]:
    running = {}
    for record in (SCRATCH / "servers").glob("*.json"):
        try:
            noted = json.loads(record.read_text(encoding="utf-8"))
            running[noted["port"]] = noted["pid"]
        except (OSError, ValueError, KeyError):
            continue
    findings = []
    for name, port in PORTS.items():
        with socket.socket() as probe:
            probe.settimeout(1)
            taken = probe.connect_ex(("127.0.0.1", port)) == 0
        if taken and port in running:
            findings.append(Finding(f"port {port}", "ok", f"{name} is running (process {running[port]})"))
        elif taken:
            airplay = " (on a Mac: AirPlay Receiver)" if port == 5000 else ""
            remedy = f"nothing to do: {name} takes the next free port and says so"
            findings.append(Finding(f"port {port}", "note", f"another program is there{airplay}", remedy))
        else:
            findings.append(Finding(f"port {port}", "ok", f"free for {name}"))
    return findings


def ask_environment() -> dict:
    """scikit-learn's version, and the Python that the notebooks' kernel "python3" runs in; {} if neither."""
    question = (
        "import json; from importlib.metadata import version; "
        "from jupyter_client.kernelspec import KernelSpecManager; "
        "argv = KernelSpecManager().get_kernel_spec('python3').argv; "
        "print(json.dumps({'kernel': argv[0], 'scikit-learn': version('scikit-learn')}))"
    )
    try:
        asked = subprocess.run([PYTHON, "-c", question], capture_output=True, text=True, timeout=60, cwd=ROOT)
        return json.loads(asked.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return {}


def kernel(inside: dict) -> Finding:
    if not inside:
        return Finding("kernel", "broken", "the notebooks' kernel is not there", SET_UP)
    command = inside["kernel"]
    if command not in ("python", "python3") and not os.path.samefile(os.path.dirname(command), PYTHON.parent):  # noqa: PTH120, PTH121
        remedy = "jupyter kernelspec remove python3"
        return Finding("kernel", "broken", f'"python3" runs in {command}, which lacks the packages', remedy)
    return Finding("kernel", "ok", '"python3" runs in .venv')


def model(inside: dict) -> Finding:
    path = ROOT / "model.pkl"
    if not path.exists():
        return Finding("model", "note", "not trained yet", "python kit.py up, or python kit.py train")
    try:
        card = json.loads(path.with_name("card.json").read_text(encoding="utf-8"))
        name, trained_with = card["name"], card["inputs"]["versions"]["scikit-learn"]
        listed = {entry["sha256"] for entry in card["files"].values()}
    except (OSError, ValueError, KeyError, TypeError):
        remedy = "if it is not yours, python kit.py train writes one with its card"
        return Finding("model", "note", "model.pkl has no card.json that can be read", remedy)
    if hashlib.sha256(path.read_bytes()).hexdigest() not in listed:
        remedy = "it is served without names and ranges; put its own card.json beside it"
        return Finding("model", "note", "model.pkl is not the file that card.json tells of", remedy)
    if inside and trained_with != inside["scikit-learn"]:
        text = f"trained with scikit-learn {trained_with}, installed is {inside['scikit-learn']}"
        return Finding("model", "broken", text, f"python kit.py train {name}")
    return Finding("model", "ok", f"{name} {card.get('version', '')}, scikit-learn {trained_with}")


def registry() -> Finding:
    """Where the registry of models is, and what it promotes."""
    if address := server():
        try:
            with urllib.request.urlopen(f"{address.rstrip('/')}/health", timeout=3):
                return Finding("registry", "ok", f"the server at {shown(address)} answers")
        except (OSError, ValueError):  # the first has urllib's own errors and timeouts among it
            remedy = "start it; or unset MLFLOW_TRACKING_URI, to have the registry in .kit/registry"
            return Finding("registry", "broken", f"nothing answers at {shown(address)}", remedy)
    address = os.environ.get("MLFLOW_TRACKING_URI", "")
    if address and not address.startswith("sqlite:///"):
        return Finding("registry", "ok", f"in the database at {shown(address)}")
    folder = Path(os.environ.get("REGISTRY_FOLDER") or SCRATCH / "registry")
    file = Path(address.removeprefix("sqlite:///")) if address else folder / "mlflow.db"
    if not file.exists():
        return Finding("registry", "ok", "empty: python kit.py register NAME begins it")
    question = "SELECT name, version FROM registered_model_aliases WHERE alias = 'champion' ORDER BY name"
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=3)) as database:
            champions = database.execute(question).fetchall()
    except sqlite3.Error as error:
        remedy = "move that file away: a new registry is made; servers go on with what they have"
        return Finding("registry", "broken", f"{file} cannot be read: {error}", remedy)
    if not champions:
        remedy = "python kit.py promote NAME VERSION, once a version is registered"
        return Finding("registry", "note", "no model has a champion yet", remedy)
    return Finding("registry", "ok", ", ".join(f"{name} version {number}" for name, number in champions))


def shown(address: str) -> str:
    """Without a password."""
    return re.sub(r"//[^/@]*@", "//", address)


def language_model() -> Finding:
    """What GENERATION=on would run."""
    if state().get("generation"):
        return Finding("language model", "ok", "SmolLM2 by llama.cpp")
    remedy = "nothing to do: the kit's tiny model takes its place, or a server at GENERATION_URL"
    return Finding("language model", "note", "llama.cpp is not installed, or has no build here", remedy)


def docker() -> Finding:
    remedy = "only the lesson on containers needs it: docs.docker.com/get-docker"
    if not shutil.which("docker"):
        return Finding("Docker", "note", "not installed", remedy)
    try:
        asked = subprocess.run(
            ["docker", "version", "--format", "{{.Server.Version}}"],
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return Finding("Docker", "note", "does not answer", "start Docker if you want to use it")
    if asked.returncode:
        return Finding("Docker", "note", "installed, not running", "start Docker if you want to use it")
    return Finding("Docker", "ok", asked.stdout.strip())


def browser() -> Finding:
    names = ("chromium", "chromium-browser", "google-chrome", "firefox")
    if found := next((name for name in names if shutil.which(name)), None):
        return Finding("browser", "ok", found)
    try:
        return Finding("browser", "ok", webbrowser.get().__class__.__name__)
    except webbrowser.Error:
        return Finding(
            "browser", "note", "none found", "open the addresses that kit.py up prints in your own"
        )
