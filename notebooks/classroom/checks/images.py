"""What comes of a Dockerfile's lines without building them: exercise 12.1."""

import hashlib
import json

from ..answers import NotYet, shown

PROJECT = {"requirements.txt": "fastapi", "model_training": "train", "apps": "predict", ".env": "a secret"}
FIRST, LAST = "FROM python:3.12-slim", "CMD python -m apps.fastapi_app"


def lines_of(dockerfile: object) -> list[list[str]]:
    """The words of each line."""
    if not isinstance(dockerfile, (list, tuple)) or not all(isinstance(line, str) for line in dockerfile):
        raise NotYet(f"`dockerfile` is {shown(dockerfile)}, expected a list of texts. Which line is none?")
    lines = [line.split() for line in dockerfile if line.strip() and not line.lstrip().startswith("#")]
    if not lines or " ".join(lines[0]) != FIRST:
        raise NotYet(f"the first line is not `{FIRST}`, expected that. What do the files lie on top of?")
    if " ".join(lines[-1]) != LAST:
        raise NotYet(
            f"the last line is `{' '.join(lines[-1])}`, expected `{LAST}`. What does the container do?"
        )
    return lines


def copied_by(line: list[str]) -> list[str]:
    """What of the project a line copies."""
    if line[0] != "COPY":
        return []
    names = [word.rstrip("/") for word in line[1:] if not word.startswith("--")]
    if len(names) < 2:
        raise NotYet(f"`{' '.join(line)}` has no place to copy to, expected one after the names. Where to?")
    *names, _ = names
    if "." in names:
        return list(PROJECT)
    for name in names:
        if name not in PROJECT:
            raise NotYet(
                f"`{' '.join(line)}` copies {name}, expected what the project has: {', '.join(PROJECT)}. "
                "What is it called there?"
            )
    return names


def installs(line: list[str]) -> bool:
    return line[0] == "RUN" and "install" in line and "requirements.txt" in line


def trains(line: list[str]) -> bool:
    return line[0] == "RUN" and "model_training.train" in line


def build(lines: list[list[str]]) -> None:
    """Go through the lines as a builder would. Raises NotYet at the first that fails."""
    there, user, installed, trained = set(), "root", False, False
    for line in lines:
        text = " ".join(line)
        there.update(copied_by(line))
        if line[0] == "USER":
            user = line[1] if len(line) > 1 else ""
        if line[0] == "RUN" and user not in ("root", "0"):
            raise NotYet(
                f"`{text}` is done by the user {user}, who may not write there; expected root. When is the "
                "right moment to give up its rights?"
            )
        if installs(line):
            needs(text, "requirements.txt", there)
            installed = True
        if trains(line):
            needs(text, "model_training", there)
            if not installed:
                raise NotYet(f"`{text}` comes before the packages are installed. What does it import?")
            trained = True
    for done, what in ((installed, "pip install -r requirements.txt"), (trained, "model_training.train")):
        if not done:
            raise NotYet(f"no line has `RUN … {what}`, expected one. What would the container lack?")
    needs(LAST, "apps", there)
    if user in ("root", "0", ""):
        raise NotYet("the command runs as root, expected the user 1000. Which line says who it is?")
    if ".env" in there:
        raise NotYet(
            "`.env` is in a layer, and whoever gets the image gets the secret; expected it to stay out. "
            "Which line copies more than it names?"
        )


def needs(text: str, name: str, there: set[str]) -> None:
    if name not in there:
        raise NotYet(f"`{text}` needs {name}, which no line above it has copied. Where must it be copied?")


def done_again(lines: list[list[str]], changed: str) -> list[list[str]]:
    """The lines that are done again when this part of the project has changed."""
    before, after = (names(lines, files) for files in (PROJECT, PROJECT | {changed: "another"}))
    return [line for line, old, new in zip(lines, before, after, strict=True) if old != new]


def names(lines: list[list[str]], files: dict[str, str]) -> list[str]:
    below, found = "", []
    for line in lines:
        of = json.dumps([below, line, [files[name] for name in copied_by(line)]])
        below = hashlib.sha256(of.encode()).hexdigest()
        found.append(below)
    return found
