"""The child process that speaks to the registry (model_training/registry/agent.py): started, asked, ended.

Importing MLflow takes seconds and 180 MB, and a registry may be slow or away: no server has it in itself."""

import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
MODULE = "model_training.registry.agent"
STUCK_SECONDS = 600  # an agent that has been asked and says nothing for so long is ended
LAST_WAIT_SECONDS = 2


class AgentError(Exception):
    """What was not done. `kind`: not-found, conflict, refused, unavailable, disk-full or invalid; `detail`
    may be shown to anybody."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind, self.detail = kind, detail


class Agent:
    """One child, which ends with its input: also where this process is killed. Any thread may ask."""

    def __init__(self, settings, log, uri: str | None = None) -> None:
        """`uri`: what it follows into the store; None for one that only does what it is told."""
        self._log, self.used = log, time.monotonic()
        self.follows = uri is not None
        self._numbers, self._lock = count(1), threading.Lock()
        self._asked: dict[int, tuple[Future, float]] = {}
        command = [sys.executable, "-m", MODULE, *([uri] if uri else [])]
        command += ["--store", str(settings.model_store.resolve())]
        command += ["--seconds", str(settings.registry_seconds)]
        path = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
        # No Ctrl-C reaches it.
        apart = {"process_group": 0} if os.name == "posix" else {"creationflags": 0x200}
        self._process = subprocess.Popen(
            command, stdin=-1, stdout=-1, stderr=-1, env=os.environ | {"PYTHONPATH": path}, **apart
        )
        for name, read in (("agent", self._read_answers), ("agent-log", self._read_log)):
            threading.Thread(target=read, name=name, daemon=True).start()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        return self._process.poll()

    @property
    def stuck(self) -> bool:
        """Whether somebody asked long ago and it has not answered."""
        asked = [since for _, since in [*self._asked.values()]]
        return bool(asked) and time.monotonic() - min(asked) > STUCK_SECONDS

    def ask(self, do: str, seconds: float, **members: Any) -> Any:
        """What it answers to a command within so many seconds. Raises AgentError."""
        number, answer = next(self._numbers), Future()
        self.used = time.monotonic()
        self._asked[number] = answer, self.used
        line = json.dumps({"id": number, "do": do, **members}).encode() + b"\n"
        try:
            with self._lock:
                self._process.stdin.write(line)
                self._process.stdin.flush()
        except (OSError, ValueError):
            self._asked.pop(number, None)
            raise AgentError("unavailable", "what speaks to the registry has ended: try again") from None
        try:
            found = answer.result(seconds)
        except TimeoutError:
            raise AgentError(
                "unavailable", f"the registry did not answer within {seconds:g} seconds"
            ) from None
        finally:
            self.used = time.monotonic()
        if error := found.get("error"):
            raise AgentError(error["kind"], error["detail"])
        return found["ok"]

    def close(self) -> None:
        """End it, at once where it has nothing to do, and in any case soon."""
        with suppress(OSError, ValueError):
            self._process.stdin.close()
        try:
            self._process.wait(LAST_WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _read_answers(self) -> None:
        for line in self._process.stdout:
            with suppress(ValueError, KeyError, TypeError):  # what a library prints is no answer
                found = json.loads(line)
                self._asked.pop(found["id"])[0].set_result(found)
        gone = {
            "error": {"kind": "unavailable", "detail": "what speaks to the registry has ended: try again"}
        }
        for number in [*self._asked]:
            if asked := self._asked.pop(number, None):
                asked[0].set_result(gone)
        self._process.stdout.close()

    def _read_log(self) -> None:
        """Its lines of JSON are lines of our log; what else it prints is text in one."""
        for line in self._process.stderr:
            try:
                fields = json.loads(line)
                level, event = fields.pop("level"), fields.pop("event")
                write = {"info": self._log.info, "error": self._log.error}.get(level, self._log.warning)
                write(event, **{f"agent_{name}": value for name, value in fields.items()})
            except (ValueError, KeyError, TypeError, AttributeError):
                if text := line.decode("utf-8", "replace").strip():
                    self._log.warning("agent", text=text[:500])
        self._process.stderr.close()
