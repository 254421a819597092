"""A model folder, brought to where a server reads it: `python -m model_training.deliver models/iris /model`.

What an init container does (deploy/kubernetes). Every file of the card is compared with its hash, and nothing
is written unless all are right. The card comes last: until it is there, a server has no new model."""

import argparse
import os
import sys
from contextlib import suppress
from pathlib import Path

from model_training.artifact import ArtifactError, read_bytes, read_verified
from model_training.card import Card, CardError, read_card


def deliver(source: Path, target: Path) -> Card:
    """Copy the model folder `source` into `target`. Raises CardError or ArtifactError, and OSError where
    `target` cannot be written; what was there before is then as it was."""
    card, contents = read_card(source / "card.json"), {}
    for format, file in card.files.items():
        contents[file.file] = read_verified(source, card, format)
    contents["card.json"] = read_bytes(source / "card.json")
    target.mkdir(parents=True, exist_ok=True)
    drafts = {name: target / f".{name}.draft" for name in contents}
    try:
        for name, draft in drafts.items():
            with draft.open("wb") as file:
                file.write(contents[name])
                file.flush()
                os.fsync(file.fileno())
        for name, draft in drafts.items():
            draft.replace(target / name)
    finally:
        for draft in drafts.values():
            with suppress(OSError):
                draft.unlink()
    return card


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m model_training.deliver", description=__doc__.split(":")[0]
    )
    parser.add_argument("source", type=Path, help="a model folder, such as models/iris")
    parser.add_argument("target", type=Path, help="the folder to put it into; made where there is none")
    options = parser.parse_args(argv)
    try:
        card = deliver(options.source, options.target)
    except (ArtifactError, CardError) as error:
        print(f"deliver: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(
            f"deliver: {options.target} cannot be written ({error.strerror}): nothing was changed; expected "
            "a folder of this user with room for the model",
            file=sys.stderr,
        )
        return 1
    print(f"deliver: {card.name} {card.version}, {len(card.files)} files with the hashes of its card")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
