"""What tests of apps in this process share."""

from pathlib import Path

import pytest


@pytest.fixture
def model(iris_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Apps that are made from now on serve the iris model, and its metrics nowhere."""
    monkeypatch.setenv("MODEL_PATH", str(iris_root / "models" / "iris"))
    monkeypatch.setenv("METRICS_PORT", "0")
    monkeypatch.setenv("LOG_FORMAT", "json")
