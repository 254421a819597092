"""What training gives: what an export writes down."""

import hashlib
import json
from dataclasses import dataclass

from sklearn.base import BaseEstimator

from model_training.card import Metric
from model_training.datasets import Dataset


@dataclass(frozen=True)
class Training:
    """A fitted model with what decided it (`inputs`) and how good it is (`metrics`)."""

    dataset: Dataset
    model: BaseEstimator
    metrics: dict[str, Metric]
    inputs: dict

    @property
    def version(self) -> str:
        """Twelve hex digits of the inputs' hash: the same inputs make the same version, any other another."""
        canonical = json.dumps(self.inputs, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]
