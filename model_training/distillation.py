"""A small model that learns from what a bigger one says. https://arxiv.org/abs/1503.02531"""

import numpy as np


def distil(teacher, student, rows: np.ndarray, copies: int = 3, noise: float = 0.5, seed: int = 1):
    """`student`, a scikit-learn regressor, fitted to the probabilities that `teacher`, a classifier, gives
    for `rows`; they need no labels. Its `predict` then gives probabilities, of shape (n, classes).

    rows: shape (n, features). Each is asked about once as it is, and `copies` times with noise, whose
    standard deviation is `noise` times that of its feature: a teacher answers as often as one likes."""
    chance = np.random.default_rng(seed)
    spread = noise * rows.std(axis=0)
    asked = [rows, *(rows + chance.normal(0, spread, rows.shape) for _ in range(copies))]
    asked = np.concatenate(asked).astype(rows.dtype)
    return student.fit(asked, teacher.predict_proba(asked))
