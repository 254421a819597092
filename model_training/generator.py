"""A tiny language model: which character comes next, learned from the text of Python's own help.

It writes what looks like English and says nothing. It is there to be served, where llama.cpp has no build
and in tests. To train it again: python kit.py train tiny"""

import argparse
import json
import sqlite3
import sys
import warnings
from contextlib import closing
from pathlib import Path

import numpy as np

FILE = Path(__file__).resolve().parents[1] / "models" / "tiny.onnx"
CONTEXT = 12  # characters that the next one is told from
END = "\0"  # of a paragraph
HIDDEN, EPOCHS, BATCH, LEARNING_RATE = 128, 5, 512, 0.003
LOCK_SECONDS = 600


def paragraphs() -> list[str]:
    """The prose among what `help("topics")` shows, each paragraph on one line."""
    from pydoc_data.topics import topics

    found = [part for topic in sorted(topics) for part in topics[topic].split("\n\n")]
    prose = [part for part in found if part[:1].isupper() and "***" not in part and "===" not in part]
    plain = [part.encode("ascii", "ignore").decode().replace("*", "") for part in prose if len(part) > 60]
    return [" ".join(part.split()) for part in plain]


def train(texts: list[str], seed: int = 1) -> bytes:
    """An ONNX model: takes CONTEXT characters, one-hot, as float32 of shape (n, CONTEXT * characters), and
    gives the `probabilities` of the next, float32 of shape (n, characters). Its metadata has `characters`, a
    list as JSON, in their order.

    A neural probabilistic language model, of characters. https://www.jmlr.org/papers/v3/bengio03a.html"""
    from onnx.helper import set_model_props
    from skl2onnx import to_onnx
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier
    from sklearn.preprocessing import OneHotEncoder
    from threadpoolctl import threadpool_limits

    text = "".join(part + END for part in texts)
    characters = sorted(set(text))
    numbers = np.array([characters.index(character) for character in text])
    before = np.concatenate([np.full(CONTEXT, characters.index(END)), numbers])
    contexts = np.lib.stride_tricks.sliding_window_view(before, CONTEXT)[:-1]
    encoder = OneHotEncoder(categories=[range(len(characters))] * CONTEXT, dtype=np.float32)
    model = MLPClassifier(
        (HIDDEN,), batch_size=BATCH, learning_rate_init=LEARNING_RATE, max_iter=EPOCHS, random_state=seed
    )
    # More threads are no faster, and sum in another order.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is stopped when it is good enough
        model.fit(encoder.fit_transform(contexts), numbers)
    graph = to_onnx(model, encoder.transform(contexts[:1]).toarray(), options={"zipmap": False})
    set_model_props(graph, {"characters": json.dumps(characters)})
    return graph.SerializeToString()


def train_once(file: Path) -> None:
    """Train where there is no `file`. Of several processes one does, and the others wait for it."""
    # The system takes SQLite's lock back from a process that dies, on Windows too.
    with closing(sqlite3.connect(file.with_suffix(".lock"), timeout=LOCK_SECONDS)) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        if not file.exists():
            write(file, train(paragraphs()))


def write(file: Path, data: bytes) -> None:
    """Whole or not at all."""
    from model_training.export import replace_file  # who only waits need not import so much

    replace_file(file, data)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m model_training.generator", description=__doc__)
    parser.add_argument("--once", action="store_true", help="only where there is none yet")
    parser.add_argument("--file", type=Path, default=FILE, help=f"where to (default: {FILE.name} in models/)")
    options = parser.parse_args(argv)
    try:
        options.file.parent.mkdir(parents=True, exist_ok=True)
        if options.once:
            train_once(options.file)
        else:
            write(options.file, train(paragraphs()))
    except (OSError, sqlite3.Error) as error:
        print(f"generator: {options.file} cannot be written ({error})", file=sys.stderr)
        return 1
    print(f"{options.file}, {options.file.stat().st_size / 1024:.0f} KiB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
