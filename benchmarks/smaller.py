"""Smaller models beside those that they come from, each measured alike: python -m benchmarks.smaller

A language model with 16, 8 and 4 bits for each weight; a network in FP32 and INT8; a forest, and a tree that
learned from it."""

import argparse
import json
import multiprocessing
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import psutil

from benchmarks.language_model import Measured, measured
from benchmarks.report import conditions

ROOT = Path(__file__).resolve().parents[1]
REQUANTISED = ROOT / "models" / "requantised"
SHIPPED = "Q4_1"
HIDDEN, EPOCHS, TREES = 512, 20, 300
LABELLED = 300  # rows that a teacher has to learn from
COPIES, BATCH, CALLS = 20, 1024, 300


@dataclass(frozen=True)
class OnnxMeasured:
    """An ONNX model in ONNX Runtime, with one thread."""

    name: str
    size: int  # bytes
    memory: float  # bytes of one of COPIES that are loaded at a time
    row: float  # µs: the fastest of CALLS
    batch: float  # µs for BATCH rows: the fastest
    accuracy: float


def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """1,797 written digits of 8 x 8 grey pixels from 0 to 1, float32: rows to learn from, rows to test with,
    and the labels of both."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    pixels = (pixels / 16).astype(np.float32)
    return train_test_split(pixels, labels, test_size=540, random_state=1, stratify=labels)


def network(rows: np.ndarray, labels: np.ndarray):
    """300,000 weights, fitted: two hidden layers of 512."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1), warnings.catch_warnings():  # on a busy machine more threads are slower by far
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is stopped when it is good enough
        return MLPClassifier((HIDDEN, HIDDEN), max_iter=EPOCHS, random_state=1).fit(rows, labels)


def as_onnx(model, rows: np.ndarray) -> bytes:
    from skl2onnx import to_onnx

    options = {"zipmap": False} if hasattr(model, "predict_proba") else None
    return to_onnx(model, rows[:1], options=options).SerializeToString()


def measured_onnx(name: str, model: bytes, rows: np.ndarray, labels: np.ndarray) -> OnnxMeasured:
    """`model` with test rows and their labels, classes from 0; in a process of its own, whose memory is the
    model's alone."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as process:
        return process.submit(measure_onnx, name, model, rows, labels).result()


def measure_onnx(name: str, model: bytes, rows: np.ndarray, labels: np.ndarray) -> OnnxMeasured:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = (
        3  # the shape that a converted tree claims for its output is not the real one
    )
    before, sessions = psutil.Process().memory_info().rss, []
    for _ in range(COPIES):
        sessions.append(onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"]))
        sessions[-1].run(None, {"X": rows[:1]})
    memory = (psutil.Process().memory_info().rss - before) / COPIES
    predict = sessions[0].run
    many = np.resize(rows, (BATCH, rows.shape[1]))
    *_, scores = predict(None, {"X": rows})  # a classifier's labels come before them
    return OnnxMeasured(
        name,
        len(model),
        memory,
        fastest(lambda: predict(None, {"X": rows[:1]}), CALLS * 5),
        fastest(lambda: predict(None, {"X": many}), CALLS // 10),
        float((scores.argmax(axis=1) == labels).mean()),
    )


def fastest(call: Callable[[], object], times: int) -> float:
    """µs"""
    took = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        took.append(time.perf_counter() - started)
    return min(took) * 1e6


def language_models(tell: Callable[[str], None]) -> dict[str, Measured]:
    """By the kind of their weights; none where llama.cpp has no build."""
    from apps.service.generation import llama
    from model_training.quantisation import KINDS, requantise

    shipped = llama.weights()
    if shipped is None:
        return {}
    found = {}
    for kind in sorted({*KINDS, SHIPPED}, key=lambda kind: -int(kind[1:].partition("_")[0])):
        tell(f"a language model in {kind} ...")
        file = shipped if kind == SHIPPED else requantise(shipped, kind, REQUANTISED)
        found[kind] = measured(file)
    return found


def networks(tell: Callable[[str], None]) -> list[OnnxMeasured]:
    from model_training.quantisation import int8

    rows, test, labels, wanted = digits()
    tell("a network in FP32 and INT8 ...")
    model = as_onnx(network(rows, labels), rows)
    return [measured_onnx("FP32", model, test, wanted), measured_onnx("INT8", int8(model), test, wanted)]


def students(tell: Callable[[str], None]) -> list[OnnxMeasured]:
    """A forest has LABELLED rows to learn from, and so have those that learn alone; a tree learns from the
    forest, which tells it of the others, too."""
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    from model_training.distillation import distil

    rows, test, labels, wanted = digits()
    known = rows[:LABELLED], labels[:LABELLED]
    tell("a forest, and what learns from it ...")
    forest = ExtraTreesClassifier(TREES, random_state=1).fit(*known)
    told = {
        "forest, the teacher": forest,
        "tree, alone": DecisionTreeClassifier(random_state=1).fit(*known),
        "tree, taught": distil(forest, DecisionTreeRegressor(min_samples_leaf=3, random_state=1), rows),
        "logistic regression, alone": LogisticRegression(max_iter=1000).fit(*known),
    }
    return [measured_onnx(name, as_onnx(model, rows), test, wanted) for name, model in told.items()]


def texts(models: dict[str, Measured]) -> str:
    """A table of language models in Markdown."""
    lines = [
        "| weights | MB | memory MB | tokens/s | prompt tokens/s | perplexity |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for kind, one in models.items():
        name = f"{kind}, as it ships" if kind == SHIPPED else kind
        lines.append(
            f"| {name} | {one.size / 1e6:.0f} | {one.memory / 1e6:.0f} | {one.tokens_per_second:.0f} "
            f"| {one.prompt_per_second:.0f} | {one.perplexity:.2f} |"
        )
    return "\n".join(lines)


def table(models: list[OnnxMeasured]) -> str:
    """Markdown."""
    lines = [
        f"| model | KiB | memory KiB | one row µs | {BATCH:,} rows µs | accuracy |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for one in models:
        lines.append(
            f"| {one.name} | {one.size / 1024:.0f} | {one.memory / 1024:.0f} | {one.row:.1f} "
            f"| {one.batch:,.0f} | {one.accuracy:.3f} |"
        )
    return "\n".join(lines)


def plot(models: dict[str, Measured], path: Path) -> None:
    """Perplexity and tokens a second over the file's size."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
    for ax, name in zip(axes, ("perplexity", "tokens_per_second"), strict=True):
        for kind, one in models.items():
            ax.plot(one.size / 1e6, getattr(one, name), "o", color="#0072B2")
            ax.annotate(kind, (one.size / 1e6, getattr(one, name)), (6, 4), textcoords="offset points")
        ax.set_xlabel("size of the file, MB")
        ax.set_title(name.replace("_", " ").replace("per second", "a second"), loc="left")
        ax.margins(x=0.2, y=0.2)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.smaller", description=__doc__)
    parser.add_argument("--output", type=Path, help="a folder for smaller.json, smaller.md and smaller.png")
    options = parser.parse_args(argv)

    def tell(line: str) -> None:
        print(line, flush=True)

    spoken, served, taught = language_models(tell), networks(tell), students(tell)
    missing = "llama.cpp has no build for this machine: no language model was measured"
    text = "\n\n".join([texts(spoken) if spoken else missing, table(served), table(taught)])
    print(f"\n{text}")
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        everything = {
            **conditions(),
            "language_models": {
                kind: asdict(one) | {"perplexity": one.perplexity} for kind, one in spoken.items()
            },
            "networks": [asdict(one) for one in served],
            "students": [asdict(one) for one in taught],
        }
        (options.output / "smaller.json").write_text(json.dumps(everything) + "\n", encoding="utf-8")
        (options.output / "smaller.md").write_text(text + "\n", encoding="utf-8")
        if spoken:
            plot(spoken, options.output / "smaller.png")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
