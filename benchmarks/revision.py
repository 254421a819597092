"""The full servers as they were: a git revision of this project, checked out, in our environment, with a
model of its own training: a card that it does not know it would refuse."""

import dataclasses
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.contenders import CONTENDERS, PYTHON, Contender

ROOT = Path(__file__).resolve().parents[1]
SERVERS = ("FastAPI full", "Flask full")


class NoSuchRevision(ValueError):
    """git does not know it; the message is git's."""


@contextmanager
def at(revision: str) -> Iterator[list[Contender]]:
    """Our full servers as of `revision`, for as long as the block runs. Raises NoSuchRevision."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        try:
            git("worktree", "add", "--detach", "--quiet", str(tree), revision)
        except subprocess.CalledProcessError as error:
            raise NoSuchRevision(error.stderr.strip()) from None
        try:
            train = [PYTHON, "-m", "model_training.train", "iris"]
            subprocess.run(train, cwd=tree, check=True, stdout=subprocess.DEVNULL)
            model = {"MODEL_PATH": str(tree / "model.pkl")}
            yield [
                dataclasses.replace(each, name=f"{each.name} at {revision}", root=tree, env=each.env | model)
                for each in CONTENDERS
                if each.name in SERVERS
            ]
        finally:
            git("worktree", "remove", "--force", str(tree))


def git(*arguments: str) -> None:
    subprocess.run(["git", "-C", str(ROOT), *arguments], check=True, capture_output=True, text=True)
