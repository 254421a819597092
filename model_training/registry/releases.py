"""The registry of models at the terminal: python -m model_training.registry.releases register iris"""

import argparse
import os
import re
import sys
from pathlib import Path
from typing import NoReturn

from model_training.registry.registry import Registry, Version, check
from model_training.registry.tracking_server import (
    PROJECT,
    RegistryError,
    is_server,
    own_source,
    quiet,
    tracking_uri,
)


def register(registry: Registry, name: str) -> None:
    check(name)
    folder = Path(os.environ.get("MODELS_FOLDER") or PROJECT / "models") / name
    if not (folder / "card.json").exists():
        raise RegistryError(
            "not-found", f"there is no model in {folder}: python kit.py train {name}, or adopt"
        )
    version, new = registry.register(folder, name)
    if not new:
        print(f"{name} version {version.version} is this model already: nothing new to register")
        return
    print(f"{name} version {version.version}: {described(version)}")
    print(f"  to have it served: python kit.py promote {name} {version.version}")


def begin(registry: Registry, name: str) -> None:
    """There is a champion: the one there is, or what was trained last."""
    champion = registry.resolve(name, "champion")
    if champion is None:
        register(registry, name)
        promote(registry, name, registry.versions(name)[0].version)
        return
    print(f"{name} version {champion.version} is champion: {described(champion)}", flush=True)


def promote(registry: Registry, name: str, version: str) -> None:
    before = registry.resolve(name, "champion")
    registry.promote(name, version)
    was = f"; it was version {before.version}" if before and before.version != version else ""
    print(f"{name} version {version} is champion{was}")


def rollback(registry: Registry, name: str) -> None:
    before = registry.resolve(name, "champion")
    now = registry.rollback(name)
    print(f"{name} version {now.version} is champion again; it was version {before.version}")


def challenger(registry: Registry, name: str, version: str) -> None:
    if version == "none":
        registry.end_challenge(name)
        print(f"{name} has no challenger any more")
        return
    registry.challenge(name, version)
    print(
        f"{name} version {version} is the challenger; to take it away: python kit.py challenger {name} none"
    )


def versions(registry: Registry, name: str) -> None:
    found = registry.versions(name)
    if not found:
        raise RegistryError("not-found", f"{name} has no version yet: python kit.py register {name}")
    for version in found:
        aliases = f"  {', '.join(version.aliases)}" if version.aliases else ""
        print(f"{name} version {version.version}: {described(version)}{aliases}")


def described(version: Version) -> str:
    """What it is, for a terminal."""
    metrics = "".join(f", {name} {value:.3f}" for name, value in version.metrics.items())
    return f"{version.model_version}, {version.algorithm}{metrics}"


def serve(port: int) -> int:
    """MLflow's own pages and API over the registry, until Ctrl-C."""
    from mlflow.cli import cli

    uri = tracking_uri()
    if is_server(uri):
        raise RegistryError("invalid", f"the registry has pages of its own, at {uri}")
    Registry()  # a new file is there, whole, before the server would make it
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # of language models
    place = ["--artifacts-destination", own_source(uri), "--backend-store-uri", uri]
    return cli.main(
        ["server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1", *place],
        standalone_mode=False,
    )


def shown(uri: str) -> str:
    """Without a password."""
    return re.sub(r"//[^/@]*@", "//", uri)


COMMANDS = {
    "register": register,
    "begin": begin,
    "promote": promote,
    "rollback": rollback,
    "challenger": challenger,
    "versions": versions,
}


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        sys.exit(f"{self.prog.split()[-1]}: {message}. See: {self.prog} --help")


def main(argv: list[str] | None = None) -> int:
    parser = Parser(prog="python kit.py", description=__doc__.split(":")[0])
    commands = parser.add_subparsers(dest="command", required=True, metavar="command", parser_class=Parser)
    for name, what in {
        "register": "make a version of what the last train or adopt wrote under a name",
        "begin": "have a champion: the one there is, or what was trained last",
        "promote": "make a version the champion, which servers follow",
        "rollback": "make the champion before this one champion again",
        "challenger": "let a version be tried beside the champion; none: let it not",
        "versions": "list the versions of a model",
        "serve": "MLflow's own pages",
    }.items():
        command = commands.add_parser(name, help=what, description=what)
        if name == "serve":
            command.add_argument("port", type=int)
            continue
        command.add_argument("name", help="the model's name, such as iris")
        if name in ("promote", "challenger"):
            command.add_argument("version", help="its number, such as 3")
    options = parser.parse_args(argv)
    quiet()
    try:
        if options.command == "serve":
            return serve(options.port)
        given = [options.name, options.version] if "version" in options else [options.name]
        COMMANDS[options.command](Registry(), *given)
    except RegistryError as error:
        where = f"; it is at {shown(tracking_uri())}" if error.kind == "unavailable" else ""
        print(f"{options.command}: {error}{where}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
