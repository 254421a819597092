"""What speaks to the registry for the servers, in a process of its own: importing MLflow takes seconds and
180 MB. It follows aliases into the store, and does what it is told:

    python -m model_training.registry.agent models:/iris@champion --store .kit/store

Each line of its input is a command in JSON, answered by a line of its output in the same order; it ends when
its input ends. Without a URI it follows nothing. On its error output are lines of JSON for a log.

    {"id": 1, "do": "versions", "name": "iris"}                                  -> [version, …]
    {"id": 2, "do": "register", "name": "iris", "folder": "models/iris"}         -> version, and "new"
    {"id": 3, "do": "alias", "name": "iris", "alias": "champion", "version": "3"}  -> version
    {"id": 4, "do": "unalias", "name": "iris", "alias": "challenger"}            -> null
    {"id": 5, "do": "rollback", "name": "iris"}                                  -> version
    {"id": 6, "do": "fetch", "name": "iris", "version": "3"}                     -> {"version", "digest"}

    {"id": 1, "ok": …} or {"id": 1, "error": {"kind": "not-found", "detail": "…"}}

A version is what `registry.Version` has, by its names. `fetch` has put the version into the store and has
checked what following checks: files, golden rows, and that it takes and answers what `active` does."""

import argparse
import contextlib
import json
import os
import queue
import sys
import threading
import time
from pathlib import Path

from model_training.registry.candidates import Following, fetched
from model_training.registry.registry import Registry, check
from model_training.registry.store import Store
from model_training.registry.tracking_server import RegistryError, quiet

QUESTION_SECONDS = 2  # that any question to the registry may take
LAST_WAIT_SECONDS = 5


class Agent:
    """Answers commands, one after the other."""

    def __init__(self, store: Store) -> None:
        self._store, self._registry = store, None

    @property
    def registry(self) -> Registry:
        """Opened when it is first asked. Raises RegistryError."""
        if self._registry is None:
            self._registry = Registry()
        return self._registry

    def do(self, command: dict) -> object:
        """The answer to a command. Raises RegistryError."""
        doing = {
            "versions": self.versions,
            "register": self.register,
            "alias": self.alias,
            "unalias": self.unalias,
            "rollback": self.rollback,
            "fetch": self.fetch,
        }.get(command.get("do"))
        if doing is None:
            raise RegistryError("invalid", "there is no such command")
        try:
            return doing(**{name: value for name, value in command.items() if name not in ("id", "do")})
        except TypeError as error:
            raise RegistryError("invalid", "the command has other members", str(error)) from error

    def versions(self, name: str) -> object:
        return [version._asdict() for version in self.registry.versions(name)]

    def register(self, name: str, folder: str) -> object:
        check(name)
        version, new = self.registry.register(Path(folder), name)
        return {**version._asdict(), "new": new}

    def alias(self, name: str, alias: str, version: str) -> object:
        moves = {"champion": self.registry.promote, "challenger": self.registry.challenge}
        if alias not in moves:
            raise RegistryError("invalid", "expected the alias champion or challenger")
        return moves[alias](name, version)._asdict()

    def unalias(self, name: str, alias: str) -> object:
        if alias != "challenger":
            raise RegistryError("invalid", "expected the alias challenger: a champion can only be replaced")
        return self.registry.end_challenge(name)

    def rollback(self, name: str) -> object:
        return self.registry.rollback(name)._asdict()

    def fetch(self, name: str, version: str) -> object:
        check(name, version)
        return {"version": version, "digest": fetched(self.registry, self._store, name, version)}


def log(level: str, event: str, **more: object) -> None:
    """A line for the server's log."""
    print(json.dumps({"level": level, "event": event, **more}), file=sys.stderr, flush=True)


def read_commands(lines, commands: queue.Queue) -> None:
    """Put each line into the queue, and None at the end; what is being done then may take a while longer."""
    for line in lines:
        commands.put(line)
    commands.put(None)
    time.sleep(LAST_WAIT_SECONDS)
    os._exit(0)  # nothing is torn by it


def answer(agent: Agent, line: str) -> dict:
    """What is said to a line of input."""
    number = None
    try:
        command = json.loads(line)
        if not isinstance(command, dict):
            raise ValueError
        number = command.get("id")
        return {"id": number, "ok": agent.do(command)}
    except RegistryError as error:
        if error.more:
            log("warning", error.detail, kind=error.kind, error=error.more)
        return {"id": number, "error": {"kind": error.kind, "detail": error.detail}}
    except ValueError:
        return {"id": number, "error": {"kind": "invalid", "detail": "expected a command in JSON"}}
    except Exception as error:  # whatever it is, the next command is answered
        log("error", "a command failed", error=f"{type(error).__name__}: {error}")
        return {"id": number, "error": {"kind": "unavailable", "detail": "the command failed; see the log"}}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m model_training.registry.agent", description=__doc__.split(":")[0]
    )
    parser.add_argument("uri", nargs="?", help="models:/NAME@ALIAS or models:/NAME/VERSION, to be followed")
    parser.add_argument("--store", type=Path, required=True, help="the folder of fetched models")
    parser.add_argument("--seconds", type=float, default=1, help="how often to look (default: 1)")
    options = parser.parse_args(argv)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints is no answer
    quiet(QUESTION_SECONDS, retries=0)
    store = Store(options.store)
    agent = Agent(store)
    try:
        following = Following(options.uri, store, log) if options.uri else None
    except ValueError as error:
        print(f"agent: {error}", file=sys.stderr)
        return 2
    commands: queue.Queue = queue.Queue()
    threading.Thread(target=read_commands, args=(sys.stdin, commands), daemon=True).start()
    while True:
        if following:
            following.look(agent)
        try:
            line = commands.get(timeout=options.seconds if following else None)
        except queue.Empty:
            continue
        if line is None:
            return 0
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(answer(agent, line)), file=answers, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
