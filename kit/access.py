"""`kit.py up --access`: both servers with the same accounts, limits for each caller, and a first user."""

import os
import subprocess
import sys
from pathlib import Path

from kit.environment import ROOT, SetupError

FIRST, SCOPES = "admin", "predict,jobs,generate,admin"
# For a person and their programs. The page's load tests meet them: more than 100 requests a second get 429.
LIMITS = {
    "RATE_LIMITS": "predict=6000/minute,jobs=600/minute,generate=60/minute,admin=60/minute,"
    "account=300/minute,token=120/minute",
    "MAX_PARALLEL": "32",
}


def settings() -> dict[str, str]:
    """The servers' settings with access on; a limit that is set already stays. Makes the first user, where
    there is none, and prints the password that is made. Raises SetupError."""
    folder = Path(os.environ.get("ACCESS_PATH") or ROOT / ".kit" / "access").absolute()
    shared = {"ACCESS": "on", "ACCESS_PATH": str(folder)}
    listed = users(shared, "list").splitlines()
    if listed == ["none yet"]:
        print(f"Access is on. The first user:\n{users(shared, 'add', FIRST, '--scopes', SCOPES)}", flush=True)
    else:
        names = ", ".join(line.split()[0] for line in listed[1:6]) + (" ..." if len(listed) > 6 else "")
        print(f"Access is on, for {names}. A new password: python kit.py users passwd NAME", flush=True)
    return {**shared, **{name: os.environ.get(name) or value for name, value in LIMITS.items()}}


def users(shared: dict[str, str], *arguments: str) -> str:
    """What `kit.py users` says. Raises SetupError."""
    done = subprocess.run(
        [sys.executable, "-m", "apps.service.access", "users", *arguments],
        cwd=ROOT,
        env={**os.environ, **shared},
        capture_output=True,
        encoding="utf-8",
    )
    if done.returncode:
        raise SetupError(done.stderr.strip())
    return done.stdout.strip()
