"""The commands over the registry of models, which model_training does in a process of its own."""

import json
import os
import sys

from kit.environment import ROOT, SetupError
from kit.processes import run_through

COMMANDS = {
    "register": "make a version of the model that was trained or adopted under a name",
    "promote": "make a version the champion, which servers follow",
    "rollback": "make the champion before this one champion again",
    "challenger": "let a version be tried beside the champion, or `none` no longer",
}


def settings(name: str) -> dict[str, str]:
    """The servers' settings with which they follow the champion of that model, or of the one that was trained
    or adopted last; where it has none, that is registered and made champion. Raises SetupError."""
    try:
        name = name or json.loads((ROOT / "card.json").read_text(encoding="utf-8"))["name"]
    except (OSError, ValueError, KeyError) as error:
        raise SetupError("no card.json tells which model was trained last: --follow NAME") from error
    if change("begin", [name]):
        raise SetupError(f"no champion of {name} can be followed")
    return {"MODEL_URI": f"models:/{name}@champion"}


def change(command: str, arguments: list[str]) -> int:
    """One of COMMANDS, or `versions`."""
    return run_through([sys.executable, "-m", "model_training.registry.releases", command, *arguments])


def server() -> str | None:
    """The address of the registry, where a server has it."""
    address = os.environ.get("MLFLOW_TRACKING_URI", "")
    return address if address.startswith(("http://", "https://")) else None
