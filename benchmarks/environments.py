"""The peers' environments: one each in benchmarks/.environments, made by uv when first needed.

A peer's packages would not go with ours, nor with each other's. Its requirements file pins it and what it
predicts with; when that file changes, the environment is made again."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / "benchmarks" / "peers"
ENVIRONMENTS = ROOT / "benchmarks" / ".environments"
OURS = {"ray_app": ROOT / "deploy" / "ray" / "requirements.txt"}  # our server, and what it runs on


def requirements_of(peer: str) -> Path:
    return OURS.get(peer, PEERS / f"{peer}.txt")


def python_of(peer: str) -> Path:
    """The Python of a peer's environment, whether or not it is there."""
    where = ENVIRONMENTS / peer
    return where / "Scripts" / "python.exe" if os.name == "nt" else where / "bin" / "python"


def prepare(peers: Iterable[str], progress: Callable[[str], None] = print) -> dict[str, str]:
    """Make the environments that are not there. For each peer that could not be set up, why."""
    absent = {}
    for peer in peers:
        requirements = requirements_of(peer)
        wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
        made_of = ENVIRONMENTS / peer / "made_of.txt"
        if made_of.exists() and made_of.read_text() == wanted:
            continue
        progress(f"setting up {peer}, as {requirements.name} says …")
        try:
            make(peer, requirements)
        except (OSError, subprocess.CalledProcessError) as error:
            absent[peer] = (getattr(error, "stderr", None) or str(error)).strip()[-2000:]
            progress(f"{peer} could not be set up")
        else:
            made_of.write_text(wanted)
    return absent


def make(peer: str, requirements: Path) -> None:
    """Raises CalledProcessError with uv's words in `stderr`, OSError when there is no uv."""
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv") or "uv"
    for command in (
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(ENVIRONMENTS / peer)],
        [uv, "pip", "install", "--quiet", "--python", str(python_of(peer)), "-r", str(requirements)],
    ):
        subprocess.run(command, check=True, capture_output=True, text=True)


def versions(peer: str) -> dict[str, str]:
    """What the peer's requirements file names, as installed."""
    names = [line.split("==")[0].split("[")[0] for line in (PEERS / f"{peer}.txt").read_text().splitlines()]
    names = [name for name in names if name and not name.startswith("#")]
    code = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    done = subprocess.run(
        [str(python_of(peer)), "-c", code, *names], check=True, capture_output=True, text=True
    )
    return dict(zip(names, done.stdout.split(), strict=True))
