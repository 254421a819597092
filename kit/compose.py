"""`kit.py secrets`: passwords for docker compose, and which of its profiles are on, in the file `.env`, which
compose reads. Standard library only: a server with Docker needs no environment of ours."""

import os
import re
import secrets
from pathlib import Path

from kit.environment import ROOT, SetupError

FILE = ROOT / ".env"
SECRETS = {  # of each profile; nothing has a default
    "data": ("POSTGRES_PASSWORD", "RABBITMQ_PASSWORD", "REDIS_PASSWORD"),
    "observability": ("GRAFANA_PASSWORD",),
    "edge": (),
    "generative": (),
}
PROFILES = (*SECRETS, "all")
ALWAYS = ("JUPYTER_TOKEN",)
SWITCHES = ("COMPOSE_PROFILES", *(f"SERVELAB_{name.upper()}" for name in SECRETS))
HEAD = "# Of docker compose on this machine: python kit.py secrets. Show it to nobody.\n"
IN_ADDRESSES = re.compile(r"[A-Za-z0-9._~-]+").fullmatch  # what needs no escape there, nor in this file


def write_secrets(profiles: list[str] | None, file: Path = FILE) -> int:
    """Write what is missing, and that these profiles are on; None: those that were. Raises SetupError."""
    file = file.resolve()  # whoever keeps it elsewhere has a link here
    lines = read(file)
    found = values(lines)
    if profiles is None:
        profiles = [name for name in found.get("COMPOSE_PROFILES", "").split(",") if name]
        if unknown := [name for name in profiles if name not in PROFILES]:
            raise SetupError(
                f"{file}: COMPOSE_PROFILES: expected some of {', '.join(PROFILES)}, got {unknown[0]!r}"
            )
    on = list(SECRETS) if "all" in profiles else [name for name in SECRETS if name in profiles]
    wanted = [*ALWAYS, *(name for profile in on for name in SECRETS[profile])]
    for name in wanted:
        if name in found and not IN_ADDRESSES(found[name]):
            raise SetupError(
                f"{file}: {name}: expected letters, digits and . _ ~ - only, since it goes into an address. "
                "Write another, or take the line away to have one made"
            )
    made = {name: secrets.token_urlsafe(24) for name in wanted if name not in found}
    switches = {"COMPOSE_PROFILES": "all" if "all" in profiles else ",".join(on)} if on else {}
    switches |= {f"SERVELAB_{name.upper()}": "on" for name in on}
    if made or switches != {name: value for name, value in found.items() if name in SWITCHES}:
        told = [line for line in lines if name_of(line) not in (*SWITCHES, *made)] or [HEAD]
        replace(file, "".join([*told, *(f"{name}={value}\n" for name, value in (switches | made).items())]))
    file.chmod(0o600)
    print(
        f"Made {', '.join(made)}, in {file}, which only you can read."
        if made
        else f"{file} has all that is needed."
    )
    if on:
        print(f"On: {', '.join(on)}. To start it all: docker compose up --build")
    else:
        others = ", ".join(PROFILES[1:])
        print(f"No profile is on. To have one: python kit.py secrets --profile data (or {others})")
    return 0


def read(file: Path) -> list[str]:
    """Its lines, each with its end; [] where there is none. Raises SetupError."""
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except UnicodeDecodeError:
        raise SetupError(
            f"{file}: expected a text in UTF-8. Move it away, and run the same command again"
        ) from None
    return [line if line.endswith("\n") else f"{line}\n" for line in text.splitlines(keepends=True)]


def name_of(line: str) -> str | None:
    found = re.match(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=", line)
    return found and found[1]


def values(lines: list[str]) -> dict[str, str]:
    """What is set, as compose has it; what is set to nothing is not."""
    found = {name_of(line): line.partition("=")[2].strip() for line in lines if name_of(line)}
    return {name: value.strip("\"'") for name, value in found.items() if value.strip("\"'")}


def replace(file: Path, text: str) -> None:
    """Write a file that nobody else may read, whole or not at all. Raises SetupError."""
    new = file.with_name(f"{file.name}.new")
    try:
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise SetupError(
            f"{new} is there: another kit.py is writing it, or was killed while it did. If none is, remove it"
        ) from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as opened:
            opened.write(text)
        new.replace(file)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
