"""An ONNX model, asked with a card's rows."""

from collections.abc import Callable

import numpy as np

from model_training.card import Card
from model_training.estimators import Predict
from model_training.rows import MISSING_TEXT, looked_up, table_of


def read_onnx(data: bytes, card: Card) -> Predict:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = (
        4  # what is less than fatal would fill the terminal; errors are raised as well
    )
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    inputs, wanted = session.get_inputs(), [output.name for output in session.get_outputs()]
    if not card.has_probabilities:  # what a classifier may give in their place are scores
        wanted = wanted[:1]
    if any(feature.categories for feature in card.features):
        feed = column_feed(card, {one.name for one in inputs})
    else:
        takes = inputs[0].name

        def feed(rows: np.ndarray) -> dict[str, np.ndarray]:
            return {takes: rows.astype(np.float32, copy=False)}

    if card.targets:
        return several_outputs(card, lambda rows: session.run(wanted, feed(rows)))
    truth = card.labels is not None and isinstance(card.labels[0], bool)  # ONNX has 0 and 1 for them

    def predict(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        predictions, *rest = session.run(wanted, feed(rows))
        predictions = predictions.reshape(len(rows))
        return predictions.astype(bool) if truth else predictions, rest[0] if rest else None

    return predict


def column_feed(card: Card, takes: set[str]) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """What an ONNX model with categories is given: a tensor of shape (n, 1) for each of the card's features,
    by its name."""
    columns = []
    for place, feature in enumerate(card.features):
        if feature.name in takes:  # what no step uses is no input
            table = table_of(feature, MISSING_TEXT) if feature.categories else None
            if table is not None and table.dtype != object:
                table = table.astype(np.float32)
            columns.append((feature.name, place, table))

    def feed(rows: np.ndarray) -> dict[str, np.ndarray]:
        return {
            name: rows[:, place, None].astype(np.float32, copy=False)
            if table is None
            else looked_up(table, rows[:, place, None])
            for name, place, table in columns
        }

    return feed


def several_outputs(card: Card, run: Callable[[np.ndarray], list]) -> Predict:
    """Of an ONNX model: predictions of shape (n, targets), and probabilities of shape (n, classes) for each
    of the targets."""
    truths = [bool(t.labels) and isinstance(t.labels[0], bool) for t in card.targets]

    def predict(rows: np.ndarray) -> tuple[np.ndarray, list[np.ndarray] | None]:
        predictions, *rest = run(rows)
        predictions = predictions.reshape(len(rows), len(card.targets))
        if any(truths):
            predictions = predictions.astype(bool)
        return predictions, [*rest[0]] if rest else None

    return predict
